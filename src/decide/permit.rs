//! The permit: the only thing that reaches an upstream. Made only by `decide::body`, never cloned.

use crate::model::denial::{Denial, Quota};

use super::policy::Route;

/// Proof that every guard of a route let one request pass.
///
/// ```compile_fail
/// // A permit cannot be made outside `decide`, so nothing is forwarded undecided.
/// let forged = outrider::decide::Permit { route: todo!(), quota: None, shadow: Vec::new() };
/// ```
#[derive(Debug)]
pub struct Permit<'p> {
    route: &'p Route,
    quota: Option<Quota>,
    shadow: Vec<Denial>,
}

impl<'p> Permit<'p> {
    pub(super) const fn new(route: &'p Route, quota: Option<Quota>, shadow: Vec<Denial>) -> Self {
        Self {
            route,
            quota,
            shadow,
        }
    }

    /// The route that the request goes by.
    #[must_use]
    pub const fn route(&self) -> &'p Route {
        self.route
    }

    /// The tightest limit asked, for the answer's fields.
    #[must_use]
    pub const fn quota(&self) -> Option<&Quota> {
        self.quota.as_ref()
    }

    /// What rules in shadow mode would have refused.
    #[must_use]
    pub fn shadow(&self) -> &[Denial] {
        &self.shadow
    }
}
