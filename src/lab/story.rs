//! The story of `lab run`.
