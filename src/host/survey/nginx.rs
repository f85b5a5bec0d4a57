//! nginx's configuration, read as a row of directives. Pure.
//!
//! Blocks are not nested here: whoever asks wants to know which `listen`, `user` or `root` stands
//! anywhere, in the order of the text.

/// The words of one directive: its name and its arguments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Directive(Vec<String>);

impl Directive {
    pub(super) fn name(&self) -> &str {
        self.word(0).unwrap_or_default()
    }

    pub(super) fn word(&self, at: usize) -> Option<&str> {
        self.0.get(at).map(String::as_str)
    }

    /// Whether it makes its server the default one of port 80 on every address. One that listens
    /// on a single address is another socket, and no conflict.
    pub(super) fn is_default_server(&self) -> bool {
        let wildcard = matches!(
            self.word(1),
            Some("80" | "*:80" | "0.0.0.0:80" | "[::]:80" | "*" | "0.0.0.0" | "[::]")
        );
        let mut options = self.0.iter().skip(2);
        // `default` is what the word was before nginx 0.8.21, and still is understood.
        self.name() == "listen"
            && wildcard
            && options.any(|o| o == "default_server" || o == "default")
    }
}

/// All directives of a text in order, those inside of blocks too.
pub(super) fn directives(text: &str) -> Vec<Directive> {
    let mut all = Vec::new();
    let mut words: Vec<String> = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        match first {
            '#' => rest = rest.find('\n').map_or("", |end| &rest[end..]),
            ';' | '{' | '}' => {
                if !words.is_empty() {
                    all.push(Directive(std::mem::take(&mut words)));
                }
                rest = &rest[1..];
            }
            '"' | '\'' => {
                let (word, after) = quoted(&rest[1..], first);
                words.push(word);
                rest = after;
            }
            c if c.is_whitespace() => rest = &rest[c.len_utf8()..],
            _ => {
                let end = rest.find(|c: char| c.is_whitespace() || ";{}".contains(c));
                let end = end.unwrap_or(rest.len());
                words.push(rest[..end].to_owned());
                rest = &rest[end..];
            }
        }
    }
    all
}

/// Reads up to the closing quote; a backslash keeps the next character as it is.
fn quoted(text: &str, quote: char) -> (String, &str) {
    let mut word = String::new();
    let mut characters = text.char_indices();
    while let Some((at, c)) = characters.next() {
        match c {
            '\\' => word.extend(characters.next().map(|(_, c)| c)),
            c if c == quote => return (word, &text[at + c.len_utf8()..]),
            c => word.push(c),
        }
    }
    (word, "")
}

/// Whether a file name fits a pattern in which each star stands for any text. As the shell has it,
/// a star at the beginning does not stand for a hidden file's dot.
pub(super) fn fits(name: &str, pattern: &str) -> bool {
    if name.starts_with('.') && pattern.starts_with('*') {
        return false;
    }
    let mut parts = pattern.split('*');
    let Some(mut rest) = parts.next().and_then(|start| name.strip_prefix(start)) else {
        return false;
    };
    let mut parts: Vec<&str> = parts.collect();
    let Some(end) = parts.pop() else {
        return rest.is_empty();
    };
    for part in parts {
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.ends_with(end)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn taken(text: &str) -> bool {
        directives(text).iter().any(Directive::is_default_server)
    }

    #[test]
    fn a_default_server_is_told_from_a_comment_and_from_other_sockets() {
        assert!(taken(
            "server {\n\tlisten 80 default_server;\n\tlisten [::]:80 default_server;\n}"
        ));
        assert!(taken("server { listen [::]:80 ipv6only=on default_server; }"));
        assert!(taken("server{listen *:80 default;}"));
        assert!(!taken("server {\n # listen 80 default_server;\n listen 80;\n}"));
        assert!(!taken("server { listen 8080 default_server; }"));
        assert!(!taken("server { listen 192.0.2.1:80 default_server; }"));
        assert!(!taken("add_header X 'listen 80 default_server;';"));
    }

    #[test]
    fn stars_fit_as_in_the_shell() {
        assert!(fits("a.conf", "*.conf") && fits("default", "*") && fits("a-b-c", "a*b*c"));
        assert!(!fits(".hidden.conf", "*.conf") && !fits("a.conf~", "*.conf"));
        assert!(!fits("ab", "a*b*b") && !fits("a", "ab*"));
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_a_panic(text in "(?s).{0,300}", pattern in "[a*.]{0,6}") {
            let read = directives(&text);
            prop_assert!(read.iter().all(|d| d.word(0).is_some()));
            let _: bool = fits(&text, &pattern);
        }

        #[test]
        fn directives_are_read_as_they_were_written(
            words in prop::collection::vec(prop::collection::vec("[a-z0-9.:/]{1,8}", 1..5), 0..8)
        ) {
            let text: String = words.iter().map(|w| format!("{} ; # c\n", w.join(" "))).collect();
            let read: Vec<Vec<String>> = directives(&text).into_iter().map(|d| d.0).collect();
            prop_assert_eq!(read, words);
        }
    }
}
