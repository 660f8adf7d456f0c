//! Budgets against an exchange.
