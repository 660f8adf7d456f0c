//! Texts of keys, and what becomes of them.

use serde_json::json;

use super::*;
