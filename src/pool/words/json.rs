//! Words as JSON: a line for each, for a file and for the other directors.
//!
//! What is read is checked. Of a text that is damaged, or that a newer converge wrote, what can be
//! read of it is not lost with the rest.

use std::cmp::Reverse;

use serde::{Deserialize, Serialize};

use super::{LATEST, LONGEST_NAME, MOST_WORDS, Said, Word, Words, WordsError};

/// The bytes around the lines of a list, and those after each line.
const FRAME: usize = "[\n\n]\n".len();
const BETWEEN: usize = ",\n".len();

/// A word as it stands in JSON. A field that a newer converge adds is passed over.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Entry {
    pub(super) host: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) pool: Option<String>,
    pub(super) word: Word,
    pub(super) at: u64,
    pub(super) by: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) until: Option<u64>,
}

impl Words {
    /// As JSON, for a file and for the other directors.
    pub fn to_json(&self) -> String {
        let entries: Vec<Entry> = self.clone().into();
        list(entries.iter().map(Entry::line))
    }

    /// As JSON of at most so many bytes, at least those of an empty list: if not all of them fit,
    /// the newest words, and of the others another part with each turn. Whoever merges them loses
    /// nothing of what it knows, and knows all of them some turns later.
    pub fn to_json_within(&self, most: usize, turn: u64) -> String {
        let whole = self.to_json();
        if whole.len() <= most {
            return whole;
        }
        let mut entries: Vec<Entry> = self.clone().into();
        entries.sort_by_key(|entry| Reverse(entry.at));
        let lines: Vec<String> = entries.iter().map(Entry::line).collect();
        let half = most.saturating_sub(FRAME) / 2;
        let mut size = 0;
        let fits = |line: &&String| {
            size += line.len() + BETWEEN;
            size <= half
        };
        let newest = lines.iter().take_while(fits).count();
        let parts = parts(&lines[newest..], half);
        let count = u64::try_from(parts.len()).unwrap_or(u64::MAX).max(1);
        let part = usize::try_from(turn % count).ok().and_then(|turn| parts.get(turn));
        let others = part.into_iter().flatten().map(|line| (*line).clone());
        list(lines[..newest].iter().cloned().chain(others))
    }

    /// Out of JSON.
    pub fn from_json(text: &str) -> Result<Self, WordsError> {
        let entries: Vec<Entry> = serde_json::from_str(text).map_err(WordsError::Json)?;
        Words::try_from(entries)
    }

    /// Out of a text that is damaged, or of another making: what can be read of it, and how much
    /// cannot.
    pub fn salvage(text: &str) -> (Words, usize) {
        let all: Vec<Option<Entry>> = match serde_json::from_str::<Vec<serde_json::Value>>(text) {
            Ok(all) => all.into_iter().map(|one| serde_json::from_value(one).ok()).collect(),
            Err(_) => {
                let lines = text.lines().map(|line| line.trim().trim_end_matches(','));
                let lines = lines.filter(|line| !matches!(*line, "" | "[" | "]"));
                lines.map(|line| serde_json::from_str(line).ok()).collect()
            }
        };
        let (mut words, mut lost) = (Words::default(), 0);
        for entry in all {
            let is_taken = entry.is_some_and(|entry| words.enter(entry).is_ok());
            lost += usize::from(!is_taken);
            while words.len() > MOST_WORDS {
                words.forget_oldest();
                lost += 1;
            }
        }
        (words, lost)
    }

    /// Takes in what was read, if it is right.
    fn enter(&mut self, entry: Entry) -> Result<(), WordsError> {
        let names = [Some(&entry.host), entry.pool.as_ref(), Some(&entry.by)];
        let is_wrong = |name: &&&String| name.is_empty() || name.len() > LONGEST_NAME;
        if let Some(name) = names.iter().flatten().find(is_wrong) {
            return Err(WordsError::Name((*name).clone()));
        }
        if let Some(time) = [Some(entry.at), entry.until].into_iter().flatten().max()
            && time > LATEST
        {
            return Err(WordsError::Time(time));
        }
        let Entry { host, pool, word, at, by, until } = entry;
        // One that stands there twice counts as if it came from two directors.
        self.take(&host, pool.as_deref(), &Said { word, at, by, until });
        Ok(())
    }
}

impl Entry {
    fn line(&self) -> String {
        serde_json::to_string(self).expect("strings and numbers serialise")
    }
}

/// A line each, for whoever looks at the file.
fn list(lines: impl Iterator<Item = String>) -> String {
    let lines: Vec<String> = lines.collect();
    match lines.is_empty() {
        true => "[]\n".to_owned(),
        false => format!("[\n{}\n]\n", lines.join(",\n")),
    }
}

/// The lines in parts of at most so many bytes. One that is longer itself is left out.
fn parts(lines: &[String], most: usize) -> Vec<Vec<&String>> {
    let mut parts: Vec<Vec<&String>> = Vec::new();
    let mut left = 0;
    for line in lines.iter().filter(|line| line.len() + BETWEEN <= most) {
        let size = line.len() + BETWEEN;
        if size > left {
            parts.push(Vec::new());
            left = most;
        }
        left -= size;
        parts.last_mut().expect("one was pushed").push(line);
    }
    parts
}

impl From<Words> for Vec<Entry> {
    fn from(words: Words) -> Self {
        let entry = |(host, pool, said): (&str, Option<&str>, &Said)| Entry {
            host: host.to_owned(),
            pool: pool.map(str::to_owned),
            word: said.word,
            at: said.at,
            by: said.by.clone(),
            until: said.until,
        };
        words.iter().map(entry).collect()
    }
}

impl TryFrom<Vec<Entry>> for Words {
    type Error = WordsError;

    fn try_from(entries: Vec<Entry>) -> Result<Self, WordsError> {
        if entries.len() > MOST_WORDS {
            return Err(WordsError::TooMany(entries.len()));
        }
        let mut words = Words::default();
        entries.into_iter().try_for_each(|entry| words.enter(entry))?;
        Ok(words)
    }
}
