//! Stations as the engine sees them.
