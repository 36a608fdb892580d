//! The allocator, and how soon it gives memory back.
//!
//! Left to itself, mimalloc commits its first gigabyte of address space at once, which the system
//! then fills with huge pages, and it keeps for a second what was freed. Choosing otherwise, the
//! peak of a backup of 50,000 small files falls from 144 to 73 MiB. Giving back at once would save
//! some more where files of 100 MiB are restored (120 instead of 180 MiB), but take twice the time:
//! the same pages are taken again soon.

use std::ffi::{c_int, c_long};

/// Many threads allocate and free small buffers; see `docs/architecture.md`.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// An option of mimalloc 3: its number in `mimalloc.h`, the value that it has if nobody has set
/// it, and ours.
struct Choice {
    option: c_int,
    usual: c_long,
    ours: c_long,
}

const CHOICES: [Choice; 2] = [
    // mi_option_arena_eager_commit: commit address space only when it is used.
    Choice { option: 4, usual: 2, ours: 0 },
    // mi_option_purge_delay, in milliseconds: give free pages back soon.
    Choice { option: 15, usual: 1000, ours: 100 },
];

unsafe extern "C" {
    fn mi_option_get(option: c_int) -> c_long;
    fn mi_option_set(option: c_int, value: c_long);
}

/// Makes the choices, unless the environment (`MIMALLOC_…`) has made others. A mimalloc that
/// numbers its options differently is left alone.
extern "C" fn choose() {
    for Choice { option, usual, ours } in CHOICES {
        // SAFETY: both functions read and write one entry of a static table, after checking that
        // the number is within it, and nothing else runs yet that could do so too.
        unsafe {
            if mi_option_get(option) == usual {
                mi_option_set(option, ours);
            }
        }
    }
}

/// The first gigabyte is taken with the first allocation, which the standard library makes before
/// `main`: the choices must be made by then.
// SAFETY: the loader calls what this section lists, once, before `main` and with only one thread;
// `choose` takes no arguments (those given are ignored in the C calling convention), neither
// allocates nor panics, and needs nothing that the standard library would have set up.
#[cfg(target_os = "linux")]
#[used]
#[unsafe(link_section = ".init_array")]
static BEFORE_MAIN: extern "C" fn() = choose;

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn the_choices_are_made_before_main() {
        for Choice { option, ours, .. } in CHOICES {
            // SAFETY: as above; tests do not change options.
            assert_eq!(unsafe { mi_option_get(option) }, ours, "option {option}");
        }
    }
}
