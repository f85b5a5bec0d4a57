//! What a virtual router does, claim by claim.
