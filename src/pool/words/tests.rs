//! The laws of the words.
