//! The word that was meant.
//!
//! A suggestion that is far off is worse than none: the bound is one slip for every three letters,
//! and of two letters none may be another one: `no` is not `on`.

/// The candidate that `word` is most likely a slip of, if one is near enough: one slip for every
/// three letters, where a swap of neighbours is one slip and case is none.
pub fn suggest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word = folded(word);
    let near = |candidate: &'a str| {
        let other = folded(candidate);
        let slips = distance(&word, &other);
        let longest = word.len().max(other.len());
        // One letter too many or too few.
        let short = longest == 2 && word.len() + other.len() == 3 && slips == 1;
        (slips <= longest / 3 || short).then_some((slips, candidate))
    };
    candidates.into_iter().filter_map(near).min().map(|(_, candidate)| candidate)
}

/// Case, and the ways to join words, do not count as slips.
fn folded(word: &str) -> Vec<char> {
    let join = |c| if c == '_' || c == ' ' { '-' } else { c };
    word.trim().chars().flat_map(char::to_lowercase).map(join).collect()
}

/// Insertions, deletions, replacements and swaps of neighbours from one word to the other.
fn distance(a: &[char], b: &[char]) -> usize {
    let width = b.len() + 1;
    let mut before_last: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..width).collect();
    for (i, from) in a.iter().enumerate() {
        let mut row = vec![i + 1; width];
        for (j, to) in b.iter().enumerate() {
            let replaced = last[j] + usize::from(from != to);
            row[j + 1] = replaced.min(last[j + 1] + 1).min(row[j] + 1);
            let swapped = i > 0 && j > 0 && *from == b[j - 1] && a[i - 1] == *to;
            if swapped {
                row[j + 1] = row[j + 1].min(before_last[j - 1] + 1);
            }
        }
        before_last = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_word_is_suggested_and_a_far_one_is_not() {
        let keys = ["scheduler", "port", "protocol", "forward", "role", "wlc", "lc", "rr"];
        let cases = [
            ("schedular", Some("scheduler")),
            ("shceduler", Some("scheduler")),
            ("Port", Some("port")),
            ("prot", Some("port")),
            ("wlcc", Some("wlc")),
            ("protocoll", Some("protocol")),
            ("r", Some("rr")),
            ("weight", None),
            ("x", None),
            ("cl", None),
            ("forwrd", Some("forward")),
            ("foward-to", None),
            ("", None),
        ];
        for (word, meant) in cases {
            assert_eq!(suggest(word, keys), meant, "{word:?}");
        }
    }

    #[test]
    fn what_means_something_else_is_no_slip() {
        for (word, keys) in [
            ("no", &["on", "off", "starttls"][..]),
            ("icmp", &["imap", "ping", "smtp"]),
            ("ssh", &["sip", "smtp"]),
            ("tls", &["tcp", "udp"]),
            ("dhcp", &["http", "dns"]),
            ("dr", &["rr", "wrr"]),
        ] {
            assert_eq!(suggest(word, keys.iter().copied()), None, "{word}");
        }
    }

    #[test]
    fn dashes_and_underscores_are_the_same_to_a_hasty_hand() {
        assert_eq!(suggest("real_server", ["real-server"]), Some("real-server"));
    }
}
