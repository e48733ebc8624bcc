//! The clocks that spans and events are timed with. They are read several times for each span, so
//! they are the coarse ones: a few nanoseconds each, exact to about four milliseconds.

/// Microseconds of a monotonic clock.
#[cfg(target_os = "linux")]
#[inline]
pub(super) fn monotonic() -> u64 {
    microseconds(rustix::time::ClockId::MonotonicCoarse)
}

/// Microseconds since 1970.
#[cfg(target_os = "linux")]
#[inline]
pub(super) fn wall() -> u64 {
    microseconds(rustix::time::ClockId::RealtimeCoarse)
}

#[cfg(target_os = "linux")]
#[inline]
fn microseconds(clock: rustix::time::ClockId) -> u64 {
    let now = rustix::time::clock_gettime(clock);
    now.tv_sec.unsigned_abs() * 1_000_000 + now.tv_nsec.unsigned_abs() / 1_000
}

/// Microseconds of a monotonic clock.
#[cfg(not(target_os = "linux"))]
pub(super) fn monotonic() -> u64 {
    static START: std::sync::OnceLock<std::time::Instant> = std::sync::OnceLock::new();
    let start = START.get_or_init(std::time::Instant::now);
    u64::try_from(start.elapsed().as_micros()).unwrap_or(u64::MAX) + 1
}

/// Microseconds since 1970.
#[cfg(not(target_os = "linux"))]
pub(super) fn wall() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(now.as_micros()).unwrap_or(u64::MAX)
}
