//! `converge lab up`, and what converge says on real machines, as people type it.

use std::path::PathBuf;
use std::process::{Command, Output};

use super::world::world;

/// A lab of its own, which is down again whatever becomes of the test.
struct LeftUp {
    directory: PathBuf,
}

impl LeftUp {
    fn new() -> LeftUp {
        let directory = std::env::temp_dir().join(format!("converge-up-{}", std::process::id()));
        std::fs::create_dir_all(&directory).expect("a temporary directory");
        LeftUp { directory }
    }

    fn converge(&self, line: &str) -> Output {
        Command::new(env!("CARGO_BIN_EXE_converge"))
            .args(line.split_whitespace().skip(1))
            .env("XDG_RUNTIME_DIR", &self.directory)
            .output()
            .expect("the binary that cargo built runs")
    }
}

impl Drop for LeftUp {
    fn drop(&mut self) {
        self.converge("converge lab down");
        std::fs::remove_dir_all(&self.directory).ok();
    }
}

#[test]
fn lab_up_leaves_machines_that_have_converged_and_what_it_tells_to_try_works() {
    // One world at a time: machines take memory.
    let Some(_world) = world() else { return };
    let lab = LeftUp::new();
    let up = lab.converge("converge lab up");
    let said = String::from_utf8_lossy(&up.stdout);
    assert!(up.status.success(), "{said}{}", String::from_utf8_lossy(&up.stderr));
    for (host, answer) in [("director", "192.168.142.100:80 rr"), ("client", "longest gap")] {
        let wanted = format!("  converge lab sh {host} ");
        let command = said.lines().filter(|line| line.starts_with(&wanted)).next_back();
        let command = command.unwrap_or_else(|| panic!("nothing to try on {host}:\n{said}"));
        // The explanation stands two columns after the command.
        let command = command.trim_start().split("  ").next().unwrap_or_default();
        let output = lab.converge(command);
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && text.contains(answer), "`{command}`:\n{text}");
    }
    assert!(lab.converge("converge lab down").status.success());
    let none = lab.converge("converge lab status");
    assert_eq!(none.status.code(), Some(1));
    let said = String::from_utf8_lossy(&none.stderr);
    assert!(said.contains("`converge lab up` starts one"), "{said}");
}
