//! Every case of the reference's families A to E, H, I and J is a test or a row here, or stands below with a reason.
//!
//! A test's name begins with `p_` and the case's number, a row's with `"P-`: what begins so in these files counts.

/// The numbers, family by family.
const CASES: &[(char, &[u32])] = &[
    ('A', &[1, 2, 4, 6, 7, 8, 10, 11, 12, 14, 16, 18, 19, 21, 23, 25]),
    ('B', &[26, 27, 29, 31, 32, 34, 36, 37, 39]),
    ('C', &[41, 42, 43, 45, 46, 47, 49, 50, 52, 54, 55, 57, 59, 61, 62, 64, 65, 67]),
    ('D', &[68, 70, 72]),
    ('E', &[74, 76, 78, 79, 81, 82, 84, 85, 87, 89]),
    ('H', &[117, 119, 121, 122, 124, 126, 128]),
    ('I', &[129, 131, 132, 134, 136, 137]),
    ('J', &[139, 141, 142]),
];

/// What an ordinary machine cannot run, and why.
const ELSEWHERE: &[(u32, &str)] = &[
    (64, "realtime files, and data on two devices of one XFS: a kernel with CONFIG_XFS_RT"),
    (65, "DAX: persistent memory, or a machine that pretends to have some from its first boot on"),
    (121, "NFS and SMB: a server, and a kernel with their clients and swap over them"),
    (122, "f2fs: a kernel with it; asked by hand in a guest"),
    (126, "ZFS: a module that is not in the kernel; a pool under it may lock the machine up"),
];

const FILES: &[&str] = &[
    include_str!("../swapon.rs"),
    include_str!("btrfs.rs"),
    include_str!("cases.rs"),
    include_str!("doubt.rs"),
    include_str!("encryption.rs"),
    include_str!("header.rs"),
    include_str!("path.rs"),
    include_str!("stacked.rs"),
    include_str!("tools.rs"),
];

#[test]
fn every_case_is_named_or_excused() {
    let is_named = |number: u32| {
        let (test, row) = (format!("fn p_{number:03}_"), format!("\"P-{number:03}"));
        FILES.iter().any(|text| text.contains(&test) || text.contains(&row))
    };
    for (family, numbers) in CASES {
        for number in *numbers {
            let excused = ELSEWHERE.iter().any(|(case, _)| case == number);
            assert!(
                is_named(*number) != excused,
                "P-{number:03} of family {family}: neither tested nor excused, or both"
            );
        }
    }
    let listed = |number: u32| CASES.iter().any(|(_, numbers)| numbers.contains(&number));
    assert!(ELSEWHERE.iter().all(|(number, why)| listed(*number) && !why.is_empty()), "an excuse for no case");
}
