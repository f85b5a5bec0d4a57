//! What an upstream becomes.
