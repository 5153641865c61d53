//! The flags of a ublk device, every bit of them.

use swap_dio::ublk::{Recovery, UblkDevice, UblkFeatures};

#[test]
fn ublk_flags_over_every_bit() {
    // What the driver sets by itself, what is harmless, recovery: admitted. Every other bit refuses, alone and in
    // pairs.
    let admitted = UblkFeatures::URING_CMD_COMP_IN_TASK
        | UblkFeatures::CMD_IOCTL_ENCODE
        | UblkFeatures::USER_RECOVERY
        | UblkFeatures::USER_RECOVERY_REISSUE
        | UblkFeatures::USER_RECOVERY_FAIL_IO
        | UblkFeatures::UPDATE_SIZE
        | UblkFeatures::QUIESCE
        | UblkFeatures::PER_IO_DAEMON
        | UblkFeatures::BUF_REG_OFF_DAEMON
        | UblkFeatures::SAFE_STOP_DEV
        | UblkFeatures::NO_AUTO_PART_SCAN;
    for (one, other) in (0..64).flat_map(|one| (0..64).map(move |other| (one, other))) {
        for locks_buffers in [false, true] {
            let flags = 1u64 << one | 1u64 << other;
            let mut reasons = Vec::new();
            UblkDevice { flags, locks_buffers }.check(|reason| reasons.push(reason));
            let expected = (flags & !admitted.bits()).count_ones() > 0;
            assert_eq!(!reasons.is_empty(), expected, "{flags:#x}: {reasons:?}");
            assert!(reasons.iter().all(|reason| reason.code() == "ublk-flags"));
        }
    }
    let recovery = |flags: UblkFeatures| UblkDevice { flags: flags.bits(), locks_buffers: false }.recovery();
    let user = UblkFeatures::USER_RECOVERY;
    assert_eq!(recovery(UblkFeatures::empty()), Recovery::None);
    assert_eq!(recovery(UblkFeatures::USER_RECOVERY_REISSUE), Recovery::None, "without the first it means nothing");
    assert_eq!(recovery(user), Recovery::Wait);
    assert_eq!(recovery(user | UblkFeatures::USER_RECOVERY_REISSUE), Recovery::Reissue);
    assert_eq!(recovery(user | UblkFeatures::USER_RECOVERY_FAIL_IO), Recovery::Fail);
}
