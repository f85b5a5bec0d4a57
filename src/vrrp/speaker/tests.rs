//! What the routers of a host do together.
