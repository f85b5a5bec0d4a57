//! A command line in a role file: a program and its arguments, without a shell.
//!
//! White space parts the words; quotation marks keep a word together. What only a shell would
//! understand is refused, so that nobody waits for a pipe that is an argument in truth.

use crate::document::Value;

/// What a shell would not pass on as it is.
const SHELL: &[char] = &['|', '&', ';', '<', '>', '$', '`', '*', '?', '(', ')'];

/// A program and its arguments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommandLine(pub Vec<String>);

impl Value for CommandLine {
    const WHAT: &'static str = "a program and its arguments, such as \"/usr/bin/killall -0 nginx\"";

    fn parse(text: &str) -> Result<Self, String> {
        let words = words(text)?;
        let Some(program) = words.first().filter(|program| !program.is_empty()) else {
            return Err("no program is named".into());
        };
        if program.contains('/') && !program.starts_with('/') {
            return Err(format!("`{program}` is not absolute; it has to start with `/`"));
        }
        Ok(CommandLine(words))
    }
}

fn words(text: &str) -> Result<Vec<String>, String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    for c in text.chars() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (Some(_), c) => word.get_or_insert_default().push(c),
            (None, '"' | '\'') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (None, c) if c.is_whitespace() => words.extend(word.take()),
            (None, c) if SHELL.contains(&c) => {
                return Err(format!(
                    "no shell reads this, and `{c}` would be an argument; quote it, or write \
                     /bin/sh -c '…'"
                ));
            }
            (None, c) => word.get_or_insert_default().push(c),
        }
    }
    match quote {
        Some(open) => Err(format!("a quotation mark {open} is never closed")),
        None => {
            words.extend(word);
            Ok(words)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_line_is_parted_at_white_space_outside_of_quotation_marks() {
        let parsed = |text| CommandLine::parse(text).map(|CommandLine(words)| words);
        let words = |words: &[&str]| Ok(words.iter().map(|w| (*w).to_owned()).collect());
        assert_eq!(parsed("killall  -0 nginx"), words(&["killall", "-0", "nginx"]));
        assert_eq!(parsed("/bin/sh -c 'a | b'"), words(&["/bin/sh", "-c", "a | b"]));
        assert_eq!(parsed("/bin/x \"\" a'b c'd"), words(&["/bin/x", "", "ab cd"]));
    }

    #[test]
    fn what_only_a_shell_would_understand_is_refused() {
        let said = |text| CommandLine::parse(text).expect_err("it is wrong");
        assert!(said("/bin/a | /bin/b").contains("no shell reads this"));
        assert_eq!(said("/bin/a 'b"), "a quotation mark ' is never closed");
        assert_eq!(said("  "), "no program is named");
        assert_eq!(said("./check.sh"), "`./check.sh` is not absolute; it has to start with `/`");
    }
}
