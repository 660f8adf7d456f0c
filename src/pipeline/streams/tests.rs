//! Open answers, judged again.
