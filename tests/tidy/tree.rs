//! The tracked text files of the repository.

use std::fs;
use std::path::Path;
use std::process::Command;

/// A tracked file.
#[derive(Debug)]
pub(crate) struct Source {
    /// Its path from the root of the repository.
    pub(crate) path: String,
    /// What is in it.
    pub(crate) text: String,
}

impl Source {
    /// The lines with their numbers.
    pub(crate) fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        self.text.lines().enumerate().map(|(i, line)| (i + 1, line))
    }

    /// Whether the whole file is test code.
    pub(crate) fn is_test(&self) -> bool {
        let stem = self.path.trim_end_matches(".rs");
        self.path.starts_with("tests/")
            || self.path.starts_with("benches/")
            || self.path.contains("/tests/")
            || stem.ends_with("/tests")
            || stem.ends_with("_tests")
            || stem.ends_with("/scratch")
    }
}

/// All tracked text files.
#[derive(Debug)]
pub(crate) struct Tree {
    /// In the order of their paths.
    pub(crate) files: Vec<Source>,
}

impl Tree {
    /// Reads what git tracks, or without git what lies in the source directories.
    pub(crate) fn read() -> Tree {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut paths = tracked(root).unwrap_or_else(|| {
            eprintln!("git lists no files here; taking what lies in the source directories");
            lying(root)
        });
        paths.sort();
        let mut files = Vec::new();
        for path in paths {
            // Deleted and not yet committed, or not text.
            if let Ok(text) = fs::read_to_string(root.join(&path)) {
                files.push(Source { path, text });
            }
        }
        let tree = Tree { files };
        assert!(tree.file("src/lib.rs").is_some(), "src/lib.rs is not among the files");
        tree
    }

    /// One file.
    pub(crate) fn file(&self, path: &str) -> Option<&Source> {
        self.files.iter().find(|file| file.path == path)
    }

    /// The Rust files.
    pub(crate) fn rust(&self) -> impl Iterator<Item = &Source> {
        self.files.iter().filter(|file| file.path.ends_with(".rs"))
    }
}

fn tracked(root: &Path) -> Option<Vec<String>> {
    // New files count before they are added, so that the rules hold for what will be committed.
    let list = ["ls-files", "-z", "--cached", "--others", "--exclude-standard"];
    let output = Command::new("git").args(list).current_dir(root).output().ok()?;
    if !output.status.success() {
        return None;
    }
    let text = String::from_utf8(output.stdout).ok()?;
    let mut paths: Vec<String> =
        text.split('\0').filter(|path| !path.is_empty()).map(str::to_owned).collect();
    paths.dedup();
    (!paths.is_empty()).then_some(paths)
}

fn lying(root: &Path) -> Vec<String> {
    let mut paths = Vec::new();
    let mut open = vec![root.to_owned()];
    while let Some(directory) = open.pop() {
        for entry in fs::read_dir(directory).expect("a readable source tree") {
            let path = entry.expect("a readable source tree").path();
            let name = path.strip_prefix(root).expect("below the root").display().to_string();
            match path.is_dir() {
                true if name == "target" || name == ".git" => {}
                true => open.push(path),
                false => paths.push(name),
            }
        }
    }
    paths
}
