//! Which server an answer came from.
//!
//! The header `x-served-by` says it best. Without it, the first line of the page that a person
//! would see stands for the server, which is how the tutorials tell their web servers apart;
//! without a page, the `server` header. A name is one printable line of at most
//! [`NAME_LENGTH`] characters, whatever the server sent.

/// As wide as a name may be in a table of 100 columns.
pub const NAME_LENGTH: usize = 60;

/// The name of a server that gave no hint at all.
pub const NAMELESS: &str = "(no name)";

/// The elements whose text nobody sees.
const UNSEEN: [&str; 3] = ["script", "style", "template"];

/// The server's name, from what it sent.
pub fn name(served_by: Option<&str>, page: &str, server: Option<&str>) -> String {
    served_by
        .and_then(one_line)
        .or_else(|| first_line(page))
        .or_else(|| server.and_then(one_line))
        .unwrap_or_else(|| NAMELESS.to_owned())
}

/// The first line of a page with any text outside of tags.
fn first_line(page: &str) -> Option<String> {
    without_tags(page).lines().find_map(one_line)
}

/// A page's text; a tag that breaks lines in a browser breaks them here.
fn without_tags(page: &str) -> String {
    let mut text = String::new();
    let mut rest = page;
    while let Some(start) = rest.find('<') {
        text.push_str(&rest[..start]);
        let tag = &rest[start..];
        let Some(after) = end_of_tag(tag) else {
            // A lone `<` in a text file: what follows is text too.
            text.push('<');
            rest = &tag[1..];
            continue;
        };
        if !is_inline(tag) {
            text.push('\n');
        }
        rest = &tag[after..];
    }
    text.push_str(rest);
    text
}

/// Where the text goes on after the tag, comment or unseen element that starts here.
fn end_of_tag(tag: &str) -> Option<usize> {
    if tag.starts_with("<!--") {
        return Some(tag.find("-->").map_or(tag.len(), |i| i + 3));
    }
    let next = tag[1..].chars().next()?;
    if !(next.is_ascii_alphabetic() || matches!(next, '/' | '!' | '?')) {
        return None;
    }
    let close = tag.find('>')? + 1;
    let Some(element) = UNSEEN.iter().find(|e| tag_name(tag).eq_ignore_ascii_case(e)) else {
        return Some(close);
    };
    // The element's own end tag, in any case; unfinished, it hides the rest of the page.
    let lower = tag.to_ascii_lowercase();
    let end = lower.find(&format!("</{element}"));
    Some(end.map_or(tag.len(), |i| i + lower[i..].find('>').map_or(lower.len() - i, |j| j + 1)))
}

fn tag_name(tag: &str) -> &str {
    let name = tag.trim_start_matches(['<', '/']);
    let end = name.find(|c: char| !c.is_ascii_alphanumeric());
    &name[..end.unwrap_or(name.len())]
}

fn is_inline(tag: &str) -> bool {
    let name = tag_name(tag);
    ["a", "b", "i", "u", "em", "strong", "span", "font", "code", "tt", "small", "big"]
        .iter()
        .any(|inline| name.eq_ignore_ascii_case(inline))
}

/// The text as one printable line, cut to length; nothing if nothing is left.
fn one_line(text: &str) -> Option<String> {
    let words: Vec<String> = text
        .split_whitespace()
        .map(|word| word.chars().filter(|c| !is_unprintable(*c)).collect::<String>())
        .filter(|word| !word.is_empty())
        .collect();
    let line = words.join(" ");
    match line.char_indices().nth(NAME_LENGTH) {
        _ if line.is_empty() => None,
        None => Some(line),
        Some((end, _)) => Some(line[..end].trim_end().to_owned()),
    }
}

/// Control characters, and what turns the direction of a terminal's text.
fn is_unprintable(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
        || matches!(c, '\u{feff}' | '\u{fffd}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_header_wins_then_the_page_then_the_server_software() {
        assert_eq!(name(Some("web1"), "page", Some("nginx")), "web1");
        assert_eq!(name(None, "page", Some("nginx")), "page");
        assert_eq!(name(None, " \n", Some("nginx/1.22")), "nginx/1.22");
        assert_eq!(name(Some(""), "", None), NAMELESS);
    }

    #[test]
    fn the_first_line_is_what_a_person_would_see_first() {
        for (page, first) in [
            ("web1\nsecond", "web1"),
            ("\n\n  <h1>This is <b>web1</b></h1>\n<p>more", "This is web1"),
            ("<!DOCTYPE html><html><body><p>web2<p>x</body>", "web2"),
            ("<html><style>h1 { color: red }</STYLE><h1>web3</h1>", "web3"),
            ("<!-- old\npage --><title>web4</title>", "web4"),
            ("<script>never ends", ""),
            ("1 < 2", "1 < 2"),
            ("你好，web1\n", "你好，web1"),
            ("\u{1b}[2Jweb5\u{202e}\r\n", "[2Jweb5"),
        ] {
            assert_eq!(first_line(page).unwrap_or_default(), first, "{page:?}");
        }
    }

    proptest! {
        #[test]
        fn a_name_is_one_short_printable_line(page in "(?s).{0,200}", header in "(?s).{0,90}") {
            for found in [name(None, &page, None), name(Some(&header), &page, None)] {
                prop_assert!(!found.is_empty());
                prop_assert!(found.chars().count() <= NAME_LENGTH);
                prop_assert!(!found.chars().any(char::is_control));
            }
        }

        #[test]
        fn tags_of_any_shape_are_taken_out_in_bounded_time(page in "[<>/!a-z \n-]{0,300}") {
            prop_assert!(without_tags(&page).len() <= 2 * page.len());
        }
    }
}
