//! The image that all machines boot: built once, kept, never changed.
//!
//! mmdebstrap makes a tree from the host's own package sources; a hook in it writes two file
//! systems, the read-only root and the template of a machine's disk. They are built under another
//! name and renamed when whole, and a lock lets only one run build at a time. Without root
//! mmdebstrap works in a user namespace, which is why the hook gets its files as descriptors.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime};

use super::prerequisite::{self, MODULES, PrerequisiteError};
use super::progress::{phase, tail, unreachable};
use super::recipe::{self, CUSTOMIZE, INIT, Recipe, UNITS};
use super::sources;
use super::terminal::Announcer;

/// Where images are when there is no home.
const SYSTEM_CACHE: &str = "/var/cache/converge/lab";

/// An image takes 450 MB, and every change to the recipe makes a new one.
const UNUSED: Duration = Duration::from_secs(14 * 24 * 3600);

/// The files of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// The root of all machines, used read-only.
    pub root: PathBuf,
    /// What a machine's disk is a copy of.
    pub disk: PathBuf,
}

/// Why there is no image.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// The host lacks something.
    #[error(transparent)]
    Prerequisite(#[from] PrerequisiteError),
    /// Not a Debian, or one that does not say which.
    #[error("cannot tell this host's Debian release: no VERSION_CODENAME in /etc/os-release")]
    NoRelease,
    /// The kernel package is there, but not whole.
    #[error("no kernel modules in {MODULES}: reinstall the package user-mode-linux")]
    NoModules,
    /// A file of the cache or of the work directory.
    #[error("{what} {}", .path.display())]
    File {
        /// What was tried, for example `cannot write`.
        what: &'static str,
        /// Where.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// No package source answered.
    #[error("cannot build the image: no packages can be reached ({line})")]
    Unreachable {
        /// What apt said.
        line: String,
    },
    /// mmdebstrap failed otherwise.
    #[error("cannot build the image; mmdebstrap says:\n{output}")]
    Build {
        /// The end of its output.
        output: String,
    },
}

/// The image with these extra packages, built if it is not there yet.
pub fn ensure(extra_packages: &[String]) -> Result<Image, ImageError> {
    let announcer = Announcer::new("image");
    prerequisite::ensure(&announcer)?;
    let recipe =
        Recipe { suite: release()?, kernel: kernel()?, extra_packages: extra_packages.to_vec() };
    let name = recipe.name();
    let own = cache_directory();
    let caches = [own.as_path(), Path::new(SYSTEM_CACHE)];
    if let Some(image) = caches.iter().find_map(|cache| at(cache, &name)) {
        mark_used(&image);
        return Ok(image);
    }
    fs::create_dir_all(&own).map_err(|source| failed("cannot make", &own, source))?;
    let lock = lock(&own, &announcer)?;
    // Another run may have built it while this one waited for the lock.
    if let Some(image) = at(&own, &name) {
        return Ok(image);
    }
    build(&recipe, &own, &announcer)?;
    prune(&own);
    drop(lock);
    at(&own, &name).ok_or(ImageError::Build { output: "it wrote no image".into() })
}

fn release() -> Result<String, ImageError> {
    let text = fs::read_to_string("/etc/os-release").map_err(|_| ImageError::NoRelease)?;
    recipe::codename(&text).map(str::to_owned).ok_or(ImageError::NoRelease)
}

fn kernel() -> Result<String, ImageError> {
    let entries = fs::read_dir(MODULES).map_err(|_| ImageError::NoModules)?;
    let mut versions: Vec<_> =
        entries.flatten().filter_map(|entry| entry.file_name().into_string().ok()).collect();
    versions.sort();
    versions.pop().ok_or(ImageError::NoModules)
}

fn cache_directory() -> PathBuf {
    let from =
        |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let cache = from("XDG_CACHE_HOME").or_else(|| from("HOME").map(|home| home.join(".cache")));
    cache.map_or_else(|| SYSTEM_CACHE.into(), |cache| cache.join("converge/lab"))
}

fn at(cache: &Path, name: &str) -> Option<Image> {
    let directory = cache.join(name);
    let image = Image { root: directory.join("root.ext4"), disk: directory.join("disk.ext4") };
    (image.root.is_file() && image.disk.is_file()).then_some(image)
}

/// Somebody else's image may be used, but not marked.
fn mark_used(image: &Image) {
    let file = File::options().append(true).open(&image.root);
    file.and_then(|file| file.set_modified(SystemTime::now())).ok();
}

/// Takes away images of earlier recipes that nobody has used for long.
fn prune(cache: &Path) {
    for entry in fs::read_dir(cache).into_iter().flatten().flatten() {
        let used = fs::metadata(entry.path().join("root.ext4")).and_then(|file| file.modified());
        let age = used.map(|used| used.elapsed().unwrap_or_default());
        if age.is_ok_and(|age| age > UNUSED) {
            // What cannot be removed costs space and nothing else.
            fs::remove_dir_all(entry.path()).ok();
        }
    }
}

fn lock(cache: &Path, announcer: &Announcer) -> Result<File, ImageError> {
    let path = cache.join("lock");
    let file = File::create(&path).map_err(|source| failed("cannot make", &path, source))?;
    if file.try_lock().is_err() {
        announcer.phase("waiting for another run that is building it");
        file.lock().map_err(|source| failed("cannot lock", &path, source))?;
    }
    Ok(file)
}

fn build(recipe: &Recipe, cache: &Path, announcer: &Announcer) -> Result<(), ImageError> {
    let work = std::env::temp_dir().join(format!("converge-image-{}", std::process::id()));
    let half = cache.join(format!("{}.half", recipe.name()));
    // What an interrupted run left behind.
    fs::remove_dir_all(&half).ok();
    fs::DirBuilder::new()
        .mode(0o700)
        .create(&half)
        .map_err(|source| failed("cannot make", &half, source))?;
    let built = prepare(&work, recipe).and_then(|mirrors| {
        announcer.phase("looking for packages");
        run(recipe, &work, &half, &mirrors, announcer)
    });
    fs::remove_dir_all(&work).ok();
    if let Err(error) = built {
        fs::remove_dir_all(&half).ok();
        return Err(error);
    }
    let whole = cache.join(recipe.name());
    fs::rename(&half, &whole).map_err(|source| failed("cannot rename", &half, source))
}

/// Writes what mmdebstrap and its hook read; returns the package sources.
fn prepare(work: &Path, recipe: &Recipe) -> Result<Vec<PathBuf>, ImageError> {
    fs::create_dir(work).map_err(|source| failed("cannot make", work, source))?;
    // Root of a user namespace is somebody else here, and has to get in.
    set_mode(work, 0o755)?;
    write(&work.join("init"), INIT)?;
    let hook = work.join("customize");
    write(&hook, CUSTOMIZE)?;
    set_mode(&hook, 0o755)?;
    for (name, text) in UNITS {
        write(&work.join(name), text)?;
    }
    let dump = Command::new("apt-config").arg("dump").output();
    let dump = dump.map(|output| output.stdout).unwrap_or_default();
    write(&work.join("apt.conf"), &sources::apt_options(&String::from_utf8_lossy(&dump)))?;
    let (stanzas, lines) = host_sources(&recipe.suite);
    let mut mirrors = Vec::new();
    for (name, text) in [("lab.sources", stanzas), ("lab.list", lines)] {
        if !text.is_empty() {
            write(&work.join(name), &text)?;
            mirrors.push(work.join(name));
        }
    }
    Ok(mirrors)
}

fn host_sources(suite: &str) -> (String, String) {
    let parts = fs::read_dir("/etc/apt/sources.list.d").into_iter().flatten().flatten();
    let mut files: Vec<_> = parts.map(|entry| entry.path()).collect();
    files.push("/etc/apt/sources.list".into());
    files.sort();
    let (mut stanzas, mut lines) = (String::new(), String::new());
    for file in files {
        // A file that root alone may read belongs to a source with a password.
        let Ok(text) = fs::read_to_string(&file) else {
            continue;
        };
        match file.extension().and_then(|extension| extension.to_str()) {
            Some("sources") => stanzas.push_str(&sources::stanzas_for(suite, &text)),
            Some("list") => lines.push_str(&sources::lines_for(suite, &text)),
            Some(_) | None => {}
        }
    }
    (stanzas, lines)
}

fn run(
    recipe: &Recipe,
    work: &Path,
    half: &Path,
    mirrors: &[PathBuf],
    announcer: &Announcer,
) -> Result<(), ImageError> {
    let (root, disk) = (half.join("root.ext4"), half.join("disk.ext4"));
    for file in [&root, &disk] {
        write(file, "")?;
        // For the hook, which is nobody's root. Their directory is for their owner alone.
        set_mode(file, 0o666)?;
    }
    let mut child = Command::new("sh")
        // Only a shell opens descriptors of given numbers; -u is for the names in it.
        .args(["-uc", "exec mmdebstrap \"$@\" 8<> \"$LAB_ROOT\" 9<> \"$LAB_DISK\"", "mmdebstrap"])
        .args(arguments(recipe, work))
        .args(mirrors)
        .env("LAB_GUEST", work)
        .env("LAB_MODULES", MODULES)
        .env("LAB_ROOT", &root)
        .env("LAB_DISK", &disk)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|source| failed("cannot run", Path::new("mmdebstrap"), source))?;
    let mut output = String::new();
    if let Some(stderr) = child.stderr.take() {
        for line in BufReader::new(stderr).split(b'\n').map_while(Result::ok) {
            let line = String::from_utf8_lossy(&line);
            if let Some(text) = phase(&line) {
                announcer.phase(text);
            }
            output.push_str(&line);
            output.push('\n');
        }
    }
    let status = child.wait().map_err(|source| failed("cannot await", work, source))?;
    if status.success() {
        return [&root, &disk].into_iter().try_for_each(|file| set_mode(file, 0o644));
    }
    Err(match unreachable(&output) {
        Some(line) => ImageError::Unreachable { line: line.trim().to_owned() },
        None => ImageError::Build { output: tail(&output, 20) },
    })
}

fn arguments(recipe: &Recipe, work: &Path) -> Vec<OsString> {
    let with = |option: &str, value: &Path| {
        let mut argument = OsString::from(option);
        argument.push(value);
        argument
    };
    let mut arguments: Vec<OsString> = vec![
        "--variant=minbase".into(),
        "--format=null".into(),
        // A tree that is only read once need not survive a power cut.
        "--dpkgopt=force-unsafe-io".into(),
        // The hook has taken away what the last steps want to clean.
        "--skip=cleanup".into(),
        format!("--include={}", recipe.packages().join(",")).into(),
        with("--aptopt=", &work.join("apt.conf")),
    ];
    if Path::new("/etc/apt/auth.conf.d").is_dir() {
        arguments.push("--setup-hook=copy-in /etc/apt/auth.conf.d /etc/apt/".into());
    }
    arguments.push("--customize-hook=exec \"$LAB_GUEST/customize\" \"$1\"".into());
    arguments.extend([OsString::from(&recipe.suite), "/dev/null".into()]);
    arguments
}

fn set_mode(path: &Path, mode: u32) -> Result<(), ImageError> {
    fs::set_permissions(path, fs::Permissions::from_mode(mode))
        .map_err(|source| failed("cannot change the mode of", path, source))
}

fn write(path: &Path, text: &str) -> Result<(), ImageError> {
    fs::write(path, text).map_err(|source| failed("cannot write", path, source))
}

fn failed(what: &'static str, path: &Path, source: io::Error) -> ImageError {
    ImageError::File { what, path: path.to_owned(), source }
}
