//! Known peers, ban list and protection, persisted across crashes.
