//! Whether what a role needs is on this host: a program that its user can run, certificates.
//!
//! What is not there is a warning where it is named: the files are right, and what they name may
//! still come. A check whose program is missing holds its server for bad all the same, so whoever
//! stays says it loudly.

use std::io::ErrorKind;

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
    needs.iter().filter_map(look).for_each(|diagnostic| found.push(diagnostic));
    found
}

fn look(need: &Need) -> Option<Diagnostic> {
    let (title, help) = match &need.what {
        What::Program { argv, user } => refused(&script::look(argv, user.as_deref()).err()?, argv)?,
        What::Certificates(path) => (certificates(path).err()?, None),
    };
    let diagnostic = Diagnostic::warning(need.place.clone(), title).label("on this host");
    Some(match help {
        Some(help) => diagnostic.help(help),
        None => diagnostic,
    })
}

/// What is wrong, and what would help. Nothing where nobody but root can tell.
fn refused(error: &ScriptError, argv: &[String]) -> Option<(String, Option<String>)> {
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
    use std::path::Path;

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
