//! Records as they end up in the spool.
