//! Section `audit`: where evidence is written, and how much of it is kept. Never opens the folder.

use std::path::PathBuf;

use crate::model::decode::{Fields, Section};
use crate::model::settings::SpoolSettings;
use crate::model::units::ByteSize;

use super::numbers::{Count, Size};

/// The section.
pub(super) struct Audit(pub(super) SpoolSettings);

impl Section for Audit {
    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let doc = "the folder of the audit segments; relative to the folder of this file";
        let spool: Option<String> = fields.required("spool", doc);
        let segment = fields.or(
            "segment_bytes_max",
            "bytes of one segment file",
            "16MiB",
            // About 20,000 events: small enough to ship and check as one piece.
            Size::<65_536, 1_073_741_824>(ByteSize(16 << 20)),
        );
        let all = fields.or(
            "spool_bytes_max",
            "bytes of all segments together; the oldest go first",
            "2GiB",
            // Hours of full load without a collector, and still a volume that every pod has.
            Size::<65_536, 1_125_899_906_842_624>(ByteSize(2 << 30)),
        );
        let buffer = fields.or(
            "buffer_bytes_max",
            "bytes of events not yet written; beyond that requests are refused",
            "64MiB",
            // A second of full load: a disk that is away longer is a reason to stop.
            Size::<65_536, 4_294_967_296>(ByteSize(64 << 20)),
        );
        let refusals = fields.or(
            "refusals_per_minute",
            "refusals of strangers that are recorded one by one, a tenth of them for one address and cause; more are counted and told as one",
            "600",
            // A spool of 2 GiB lasts for days of them, and nobody reads more of one kind.
            Count::<1, 1_000_000>(600),
        );
        if all.0.0 < segment.0.0.saturating_mul(2) {
            let key = if fields.has("spool_bytes_max") {
                "spool_bytes_max"
            } else {
                "segment_bytes_max"
            };
            let place = fields.place_of(key);
            let message =
                "the spool does not hold two segments, so evidence would go while it is written";
            fields.error(
                &place,
                message,
                "make `spool_bytes_max` at least twice `segment_bytes_max`",
            );
        }
        Some(Self(SpoolSettings {
            folder: PathBuf::from(spool?),
            segment_bytes_max: segment.0,
            spool_bytes_max: all.0,
            buffer_bytes_max: buffer.0,
            refusals_per_minute: refusals.0,
        }))
    }
}
