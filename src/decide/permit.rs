//! The permit: the only thing that reaches an upstream. Made only by `decide::body`, never cloned.

use crate::model::denial::{Denial, Quota};

use super::policy::Route;

pub(super) mod sealed {
    /// Kept inside, so that nothing outside can pass for a permit.
    pub trait Sealed {}
}

/// What `forward` asks for before a request reaches an upstream: any of the permits that this room grants, and nothing
/// else.
pub trait Permitted: sealed::Sealed {}

impl sealed::Sealed for Permit<'_> {}

impl Permitted for Permit<'_> {}

/// Proof that every guard of a route let one request pass.
///
/// Others read a permit:
///
/// ```
/// use outrider::decide::Permit;
///
/// fn has_passed(permit: &Permit<'_>) -> bool {
///     permit.quota().is_none() && permit.shadow().is_empty()
/// }
/// ```
///
/// They cannot make one, so nothing is forwarded undecided. Neither by its constructor (E0624, it is private):
///
/// ```compile_fail,E0624
/// use outrider::decide::{Permit, policy::Route};
///
/// fn forge(route: &Route) -> Permit<'_> {
///     Permit::new(route, None, Vec::new())
/// }
/// ```
///
/// nor by its fields (E0451, they are private):
///
/// ```compile_fail,E0451
/// use outrider::decide::{Permit, policy::Route};
///
/// fn forge(route: &Route) -> Permit<'_> {
///     Permit { route, quota: None, shadow: Vec::new() }
/// }
/// ```
///
/// nor from another one (E0599, there is no `Clone`):
///
/// ```compile_fail,E0599
/// use outrider::decide::Permit;
///
/// fn forge<'p>(permit: &Permit<'p>) -> Permit<'p> {
///     Permit::clone(permit)
/// }
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
