//! Whether what a role needs is on this host: a program that its user can run, certificates.
//!
//! What is not there is a warning where it is named: the files are right, and what they name may
//! still come. A check whose program is missing holds its server for bad all the same, so whoever
//! stays says it loudly.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::Path;

use crate::check::driver::certificates;
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::host::chain;
use crate::host::script::safety::UnsafeError;
use crate::host::script::{self, ScriptError};
use crate::host::users::UserError;
use crate::role::need::{Need, What};

/// What of it is not there, or of no use.
pub fn missing(needs: &[Need]) -> Diagnostics {
    let mut found = Diagnostics::default();
    let mut known = BTreeMap::new();
    for need in needs {
        let wrong = known.entry(subject(&need.what)).or_insert_with(|| look(&need.what));
        wrong.clone().into_iter().for_each(|wrong| found.push(told(need, wrong)));
    }
    found
}

/// What is looked at, whatever its arguments are: each takes its time.
fn subject(what: &What) -> (Option<&str>, Option<&str>, Option<&Path>) {
    match what {
        What::Program { argv, user } => (argv.first().map(String::as_str), user.as_deref(), None),
        What::Certificates(path) => (None, None, Some(path)),
    }
}

/// What is wrong, and what would help.
type Wrong = (String, Option<String>);

fn look(what: &What) -> Option<Wrong> {
    match what {
        What::Program { argv, user } => refused(&script::look(argv, user.as_deref()).err()?, argv),
        What::Certificates(path) => Some((certificates(path).err()?, None)),
    }
}

fn told(need: &Need, (title, help): Wrong) -> Diagnostic {
    let diagnostic = Diagnostic::warning(need.place.clone(), title).label("on this host");
    match help {
        Some(help) => diagnostic.help(help),
        None => diagnostic,
    }
}

/// What is wrong, and what would help. Nothing where nobody but root can tell.
fn refused(error: &ScriptError, argv: &[String]) -> Option<Wrong> {
    Some(match error {
        ScriptError::Unsafe(UnsafeError::Look { source, .. })
            if source.kind() == ErrorKind::NotFound =>
        {
            (format!("there is no {}", argv.first().map_or("program", String::as_str)), None)
        }
        ScriptError::Unsafe(UnsafeError::Look { source, .. })
            if source.kind() == ErrorKind::PermissionDenied =>
        {
            return None;
        }
        ScriptError::User(user @ UserError::NoUser { .. }) => (user.to_string(), user.hint()),
        ScriptError::NotExecutable { program } => {
            (error.to_string(), Some(format!("`chmod +x {}`", program.display())))
        }
        other => (chain(other), None),
    })
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::diagnostic::{Place, Source};
    use crate::host::scratch::Scratch;

    fn said(what: What) -> Option<String> {
        let source = Source::new("cluster.toml", "script = \"/x\"");
        let need = Need { place: Place::new(&source, 9..13), what };
        missing(&[need]).iter().next().map(|d| format!("{}: {}", d.place, d.title))
    }

    fn program(path: &Path, user: Option<&str>) -> What {
        let argv = vec![path.display().to_string(), "--loud".to_owned()];
        What::Program { argv, user: user.map(str::to_owned) }
    }

    #[test]
    fn what_is_not_there_is_told_where_it_is_named() {
        let scratch = Scratch::new();
        let at = |path| scratch.real(path);
        scratch.write("/bin/plain", "#!/bin/sh\n");
        for path in ["/", "/bin", "/bin/plain"] {
            let mode = if path == "/bin/plain" { 0o600 } else { 0o755 };
            fs::set_permissions(at(path), fs::Permissions::from_mode(mode)).expect("ours");
        }
        assert_eq!(said(program(Path::new("/bin/sh"), None)), None);
        let told =
            |what, text: String| assert_eq!(said(what), Some(format!("cluster.toml:1:10: {text}")));
        let nowhere = at("/bin/nowhere");
        told(program(&nowhere, None), format!("there is no {}", nowhere.display()));
        let plain = at("/bin/plain");
        told(program(&plain, None), format!("{} is not executable", plain.display()));
        told(
            program(&at("/bin"), None),
            format!("{} is a directory, not a program", at("/bin").display()),
        );
        let nobody = "no-such-user".to_owned();
        let user = format!("there is no user `{nobody}` on this host");
        told(program(Path::new("/bin/sh"), Some(&nobody)), user);
        let ca = at("/ca.pem");
        told(
            What::Certificates(ca.clone()),
            format!("there is no file {}, which `ca` names", ca.display()),
        );
        scratch.write("/ca.pem", "no certificate\n");
        told(
            What::Certificates(ca.clone()),
            format!("cannot use {}: no certificate in PEM is in it", ca.display()),
        );
    }
}
