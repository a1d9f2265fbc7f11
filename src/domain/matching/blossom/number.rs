//! The whole numbers that the solver counts in: 64 bits where they are enough, 128 where they are not.
use std::fmt::Debug;
use std::ops::{Add, AddAssign, Sub};

/// A weight or a dual. 128 bits leave room for "most people first" on top of any 64-bit weight.
pub type Amount = i128;

/// A whole number with a sign.
pub trait Number: Copy + Ord + Debug + Send + Sync + Add<Output = Self> + Sub<Output = Self> + AddAssign + From<i64> + Into<Amount> + TryFrom<Amount> {
    /// Nothing.
    const ZERO: Self;

    /// Half of it, rounded down.
    fn half(self) -> Self;

    /// Double.
    fn twice(self) -> Self {
        self + self
    }

    /// Whether it is odd.
    fn is_odd(self) -> bool;

    /// One more where it is odd.
    fn evened(self) -> Self;
}

impl Number for i64 {
    const ZERO: Self = 0;

    fn half(self) -> Self {
        self >> 1
    }

    fn is_odd(self) -> bool {
        self & 1 == 1
    }

    fn evened(self) -> Self {
        self + (self & 1)
    }
}

impl Number for i128 {
    const ZERO: Self = 0;

    fn half(self) -> Self {
        self >> 1
    }

    fn is_odd(self) -> bool {
        self & 1 == 1
    }

    fn evened(self) -> Self {
        self + (self & 1)
    }
}
