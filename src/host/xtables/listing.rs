//! What arptables and iptables list, read into chains and rules. Pure.
//!
//! `arptables -L -n` writes a line `Chain NAME (…)` before the rules of each chain; `iptables -S`
//! writes `-N NAME` and `-A NAME RULE`. Either way a rule is a row of options, each with the words
//! that follow it.

use std::collections::BTreeMap;

/// Chains with their rules in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listing {
    chains: BTreeMap<String, Vec<Options>>,
}

/// The options of one rule, each with its words: `-j DROP -d 192.0.2.1`. An option that stands
/// twice has the words of both.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options(BTreeMap<String, String>);

impl Options {
    /// Reads the words of one rule.
    pub fn of(rule: &str) -> Self {
        let mut options = BTreeMap::<String, String>::new();
        let mut last = String::new();
        for word in rule.split_whitespace() {
            // "!" turns the next option round: as an option of its own it equals nothing of ours.
            if word == "!" || word.starts_with('-') {
                last = word.to_owned();
                options.entry(last.clone()).or_default();
                continue;
            }
            let words = options.entry(last.clone()).or_default();
            if !words.is_empty() {
                words.push(' ');
            }
            words.push_str(word);
        }
        Options(options)
    }

    /// The words of an option.
    pub fn get(&self, option: &str) -> Option<&str> {
        self.0.get(option).map(String::as_str)
    }

    /// The options that the rule has.
    pub fn names(&self) -> Vec<&str> {
        self.0.keys().map(String::as_str).collect()
    }

    /// Whether the rule does nothing but jump to `chain`.
    pub fn jumps_to(&self, chain: &str) -> bool {
        self.0.len() == 1 && self.get("-j") == Some(chain)
    }
}

impl Listing {
    /// Reads `arptables -L -n`.
    pub fn of_arptables(text: &str) -> Self {
        let mut listing = Listing::default();
        let mut chain = None;
        for line in text.lines() {
            let header = line.strip_prefix("Chain ").and_then(|l| l.split_whitespace().next());
            if let Some(name) = header {
                listing.chains.entry(name.to_owned()).or_default();
                chain = Some(name);
            } else if let Some(rules) = chain.and_then(|c| listing.chains.get_mut(c))
                && !line.trim().is_empty()
            {
                rules.push(Options::of(line));
            }
        }
        listing
    }

    /// Reads `iptables -S`.
    pub fn of_iptables(text: &str) -> Self {
        let mut listing = Listing::default();
        for line in text.lines() {
            let mut words = line.split_whitespace();
            let (Some(verb), Some(name)) = (words.next(), words.next()) else {
                continue;
            };
            match verb {
                "-N" | "-P" => {
                    listing.chains.entry(name.to_owned()).or_default();
                }
                "-A" => {
                    let rule: Vec<&str> = words.collect();
                    let rules = listing.chains.entry(name.to_owned()).or_default();
                    rules.push(Options::of(&rule.join(" ")));
                }
                // A comment, or something of a version to come.
                _ => {}
            }
        }
        listing
    }

    /// The rules of a chain; `None` if there is no such chain.
    pub fn rules(&self, chain: &str) -> Option<&[Options]> {
        self.chains.get(chain).map(Vec::as_slice)
    }

    /// Whether `from` has a rule that does nothing but jump to `to`.
    pub fn jumps(&self, from: &str, to: &str) -> bool {
        self.rules(from).is_some_and(|rules| rules.iter().any(|r| r.jumps_to(to)))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// From arptables-legacy 0.0.5, which ends its lines with a blank.
    const ARPTABLES: &str = "Chain INPUT (policy ACCEPT)\n-j converge-in \n\n\
        Chain OUTPUT (policy ACCEPT)\n\nChain converge-in (1 references)\n\
        -j DROP -d 192.0.2.1 \n\nChain converge-out (0 references)\n\
        -j mangle -s 192.0.2.1 --mangle-ip-s 192.0.2.7 \n";

    /// From iptables-legacy 1.8.9.
    const IPTABLES: &str = "-P POSTROUTING ACCEPT\n-N CONVERGE\n-A POSTROUTING -j CONVERGE\n\
        -A CONVERGE -p tcp -m ipvs --vproto 6 --vaddr 192.0.2.1 --vport 80 -j MASQUERADE\n";

    #[test]
    fn arptables_listings_are_read() {
        let listing = Listing::of_arptables(ARPTABLES);
        assert!(listing.jumps("INPUT", "converge-in"));
        assert!(!listing.jumps("OUTPUT", "converge-out"));
        let rules = listing.rules("converge-out").expect("the chain");
        assert_eq!(rules[0].get("--mangle-ip-s"), Some("192.0.2.7"));
        assert_eq!(rules[0].names(), ["--mangle-ip-s", "-j", "-s"]);
        assert_eq!(listing.rules("other"), None);
    }

    #[test]
    fn iptables_listings_are_read() {
        let listing = Listing::of_iptables(IPTABLES);
        assert!(listing.jumps("POSTROUTING", "CONVERGE"));
        let rules = listing.rules("CONVERGE").expect("the chain");
        assert_eq!(rules[0].get("--vaddr"), Some("192.0.2.1"));
    }

    #[test]
    fn a_conditional_jump_is_not_a_jump() {
        assert!(!Options::of("-s 192.0.2.0/24 -j CONVERGE").jumps_to("CONVERGE"));
        assert!(!Options::of("! -j CONVERGE").jumps_to("CONVERGE"));
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_a_panic(text in "(?s).{0,400}") {
            let _: (Listing, Listing) = (Listing::of_arptables(&text), Listing::of_iptables(&text));
        }

        #[test]
        fn any_words_of_a_listing_are_read_without_a_panic(
            words in prop::collection::vec("(Chain|-N|-A|-P|-j|!|-d|DROP|INPUT|\n| |x)", 0..60)
        ) {
            let text = words.join(" ");
            let _: (Listing, Listing) = (Listing::of_arptables(&text), Listing::of_iptables(&text));
        }

        #[test]
        fn every_rule_of_every_chain_is_there(
            chains in prop::collection::btree_map("[a-z]{1,8}", prop::collection::vec(
                ("-[a-z]", "[a-z0-9.]{1,9}"), 0..5), 0..5)
        ) {
            let mut iptables = String::new();
            let mut arptables = String::new();
            for (chain, rules) in &chains {
                iptables += &format!("-N {chain}\n");
                arptables += &format!("Chain {chain} (1 references)\n");
                for (option, word) in rules {
                    iptables += &format!("-A {chain} {option} {word}\n");
                    arptables += &format!("{option} {word} \n");
                }
                arptables += "\n";
            }
            let listing = Listing::of_iptables(&iptables);
            prop_assert_eq!(&listing, &Listing::of_arptables(&arptables));
            for (chain, rules) in &chains {
                let read = listing.rules(chain).expect("the chain");
                prop_assert_eq!(read.len(), rules.len());
                for ((option, word), read) in rules.iter().zip(read) {
                    prop_assert_eq!(read.get(option), Some(word.as_str()));
                }
            }
        }
    }
}
