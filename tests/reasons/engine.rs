//! The reasons of the engine, which only it says: of a file that is served, and of a ticket that is for another
//! request.

use super::Row;
use swap_dio::reason::{Answer, Errno, RequestFault, ServedFault};
use swap_dio::{ByteRange, Bytes, Reason, Verdict};

pub(crate) fn rows() -> Vec<Row> {
    use ServedFault as F;
    use Verdict::{Refuse, Retry};
    let (ok, eio, no) = (Answer::Accepts, Answer::Refuses(Errno::EIO), Answer::Refuses(Errno::EINVAL));
    let (was, now) = (Bytes::new(1 << 20), Bytes::new(1 << 19));
    let range = ByteRange::new(Bytes::new(4096), Bytes::new(8192));
    let served = |fault, code, verdict, answer| {
        let reason = Reason::Served(fault);
        (reason, reason, code, verdict, answer, true)
    };
    let later = Reason::Served(F::NotNow { errno: 12 });
    let other = Reason::Request(RequestFault::OtherRequest { why: "it goes the other way" });
    vec![
        served(F::Held, "busy", Retry, ok),
        served(F::LoopOffset { offset: Some(Bytes::new(512)) }, "misaligned", Refuse, ok),
        served(F::LoopOffset { offset: None }, "misaligned", Refuse, ok),
        served(F::BufferedLoop, "loop-backing", Refuse, ok),
        served(F::HeldBelow, "busy", Retry, ok),
        served(F::FileSizeLimit { limit: now, size: was }, "file-size-limit", Refuse, ok),
        served(F::Opened, "busy", Refuse, eio),
        served(F::Cut { was, now }, "size-changed", Refuse, eio),
        served(F::Changed { range }, "extents-changed", Refuse, eio),
        served(F::Shared { range }, "shared", Refuse, eio),
        served(F::Attribute { attribute: "immutable" }, "attribute-changed", Refuse, eio),
        served(F::Unanswered { errno: 5 }, "not-revalidated", Refuse, eio),
        (later, later, "not-revalidated", Retry, eio, false),
        (other, other, "other-request", Refuse, no, false),
    ]
}
