//! A panic in one request is that request's failure: it is answered and recorded as ours, and the process goes on.
//! Never hides it: the panic hook has told where it was.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::task::Poll;

use crate::model::denial::{Cause, Denial};

/// Runs a walk; a panic in it becomes [`Cause::Internal`]. What the walk leaves behind is whole at every step: the record
/// is only told things, and locks are taken whatever happened under them.
pub(super) async fn caught<T>(
    walk: impl Future<Output = Result<T, Box<Denial>>>,
) -> Result<T, Box<Denial>> {
    let mut walk = pin!(walk);
    std::future::poll_fn(|cx| {
        let polled = catch_unwind(AssertUnwindSafe(|| walk.as_mut().poll(cx)));
        polled.unwrap_or_else(|_| {
            let detail = "a panic while the request was under way";
            Poll::Ready(Err(Denial::new(Cause::Internal, detail)))
        })
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_is_a_refusal_and_everything_else_is_what_it_was() {
        let fine = caught(async { Ok(1) }).await;
        assert_eq!(fine.unwrap(), 1);
        let refused = caught::<()>(async { Err(Denial::new(Cause::Path, "")) }).await;
        assert_eq!(refused.unwrap_err().cause, Cause::Path);
        let later = caught::<()>(async {
            tokio::task::yield_now().await;
            panic!("on purpose")
        });
        assert_eq!(later.await.unwrap_err().cause, Cause::Internal);
    }
}
