//! How a process that serves for months gives memory back.

/// Keeps the allocator from holding on to the memory of large answers.
///
/// glibc makes up to eight heaps for each core and hands none back while anything lies at its end. Sixteen clients that
/// read megabytes at a time then leave 200 MB behind in a process that needs 40.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[expect(unsafe_code, reason = "it is a call of the C library; it only sets numbers, before other threads allocate")]
pub(super) fn give_back() {
    const MEBIBYTE: libc::c_int = 1 << 20;
    // SAFETY: mallopt takes two numbers and may be called at any time.
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, 2);
        libc::mallopt(libc::M_TRIM_THRESHOLD, MEBIBYTE);
        libc::mallopt(libc::M_MMAP_THRESHOLD, MEBIBYTE);
    }
}

/// Other allocators do so by themselves.
#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
pub(super) fn give_back() {}
