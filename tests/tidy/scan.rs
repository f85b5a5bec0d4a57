//! A scanner that knows enough Rust for the rules: strings, comments, braces.

use std::ops::RangeInclusive;

/// A function in a file.
#[derive(Debug)]
pub(crate) struct Function {
    pub(crate) name: String,
    /// The line of its `fn`.
    pub(crate) line: usize,
    /// From its `fn` to its closing brace.
    pub(crate) lines: usize,
}

/// The code with the insides of comments, strings and characters blanked; lines stay in place.
pub(crate) fn blanked(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let (keep, skip) = match c {
            '/' if rest.starts_with("//") => (0, rest.find('\n').unwrap_or(rest.len())),
            '/' if rest.starts_with("/*") => (0, comment(rest)),
            '"' => (1, string(&rest[1..])),
            '\'' => (1, character(&rest[1..])),
            _ if is_word(c) => raw_string(rest).unwrap_or((word(rest), 0)),
            _ => (c.len_utf8(), 0),
        };
        out.push_str(&rest[..keep]);
        let hidden = &rest[keep..keep + skip];
        out.extend(hidden.chars().map(|c| if c == '\n' { '\n' } else { ' ' }));
        rest = &rest[keep + skip..];
    }
    out
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// The length of the name or number that begins here.
fn word(text: &str) -> usize {
    text.find(|c| !is_word(c)).unwrap_or(text.len())
}

/// The length of a block comment; they nest.
fn comment(text: &str) -> usize {
    let (mut depth, mut i) = (0, 0);
    while i < text.len() {
        let here = &text.as_bytes()[i..];
        if here.starts_with(b"/*") {
            depth += 1;
            i += 2;
        } else if here.starts_with(b"*/") {
            depth -= 1;
            i += 2;
            if depth == 0 {
                return i;
            }
        } else {
            i += 1;
        }
    }
    text.len()
}

/// The length of the rest of a string, its closing quote included.
fn string(inside: &str) -> usize {
    let mut escaped = false;
    for (i, c) in inside.char_indices() {
        match c {
            '"' if !escaped => return i + 1,
            '\\' => escaped = !escaped,
            _ => escaped = false,
        }
    }
    inside.len()
}

/// The lengths of a raw string's opening and of what follows it.
fn raw_string(text: &str) -> Option<(usize, usize)> {
    let after = text.trim_start_matches(['b', 'c']).strip_prefix('r')?;
    let hashes = after.len() - after.trim_start_matches('#').len();
    if !after[hashes..].starts_with('"') {
        return None;
    }
    let open = text.len() - after.len() + hashes + 1;
    let close = format!("\"{}", "#".repeat(hashes));
    let length = text[open..].find(&close).map_or(text.len() - open, |i| i + close.len());
    Some((open, length))
}

/// The length of the rest of a character; 0 for a lifetime.
fn character(inside: &str) -> usize {
    let mut chars = inside.char_indices();
    match chars.next() {
        Some((_, '\\')) => {
            let escape = chars.next().map_or(0, |(i, c)| i + c.len_utf8());
            inside[escape..].find('\'').map_or(0, |i| escape + i + 1)
        }
        Some((_, c)) if inside[c.len_utf8()..].starts_with('\'') => c.len_utf8() + 1,
        Some(_) | None => 0,
    }
}

/// The functions with a body in blanked code.
pub(crate) fn functions(code: &str) -> Vec<Function> {
    let mut found = Vec::new();
    for (start, _) in code.match_indices("fn ") {
        let before = code[..start].chars().next_back();
        if before.is_some_and(is_word) {
            continue;
        }
        let name = &code[start + 3..];
        let name = &name[..word(name)];
        if let (false, Some(end)) = (name.is_empty(), body_end(&code[start..])) {
            found.push(Function {
                name: name.to_owned(),
                line: code[..start].matches('\n').count() + 1,
                lines: code[start..start + end].matches('\n').count() + 1,
            });
        }
    }
    found
}

/// Where the braces that open next are closed; nothing if a `;` outside of brackets comes first.
fn body_end(code: &str) -> Option<usize> {
    let (mut braces, mut brackets) = (0, 0);
    for (i, c) in code.char_indices() {
        match c {
            '(' | '[' => brackets += 1,
            ')' | ']' => brackets -= 1,
            ';' if braces == 0 && brackets == 0 => return None,
            '{' => braces += 1,
            '}' => {
                braces -= 1;
                if braces == 0 {
                    return Some(i);
                }
            }
            _ => {}
        }
    }
    None
}

/// The lines of what only tests are built with, in blanked code.
pub(crate) fn test_lines(code: &str) -> Vec<RangeInclusive<usize>> {
    let line = |at: usize| code[..at].matches('\n').count() + 1;
    let marked = code.match_indices("#[cfg(test)]");
    let ends = marked.filter_map(|(at, _)| {
        let end = body_end(&code[at..])?;
        Some(line(at)..=line(at + end))
    });
    ends.collect()
}

#[test]
fn strings_comments_and_characters_are_blanked_in_place() {
    for (text, code) in [
        ("a // b\nc", "a     \nc"),
        ("a /* b /* c */ \n d */ e", "a              \n      e"),
        (r#"f("a\"b{", x)"#, r#"f("      , x)"#),
        ("f(r#\"a\"{\"#, x)", "f(r#\"     , x)"),
        ("f(br\"{\", b\"{\", b'{')", "f(br\"  , b\"  , b'  )"),
        ("match c { '{' => '\\'', '\\u{7d}' => 'é' }", "match c { '   => '   , '        => '   }"),
        ("impl<'a> X<'a> for str {}", "impl<'a> X<'a> for str {}"),
        ("for x in &bar { r#type }", "for x in &bar { r#type }"),
    ] {
        assert_eq!(blanked(text), code, "{text}");
    }
}

#[test]
fn functions_are_measured_from_fn_to_brace() {
    let code = "trait T { fn a(&self) -> [u8; 2]; fn b() {\n}\n}\nfn c<F: fn(u8)>(x: F) {\n\n}";
    let found: Vec<(String, usize, usize)> =
        functions(code).into_iter().map(|f| (f.name, f.line, f.lines)).collect();
    assert_eq!(found, [("b".to_owned(), 1, 2), ("c".to_owned(), 4, 3)]);
}

#[test]
fn a_test_module_is_left_out() {
    let code = "fn a() {}\n#[cfg(test)]\nmod t {\n  x\n}\nfn b() {}\n#[cfg(test)]\nmod t;\n";
    assert_eq!(test_lines(code), [2..=5]);
}
