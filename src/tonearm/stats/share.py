"""Share of n cases with its 95 % interval.

    (p + z^2/2n ± z sqrt(p(1-p)/n + z^2/4n^2)) / (1 + z^2/n),     z = 1.96

Source: Wilson 1927, "Probable inference, the law of succession, and statistical inference", JASA
22. Unlike p ± z sqrt(p(1-p)/n), it is valid for small n, and has a width at shares of 0 and 1.
"""

from dataclasses import asdict, dataclass

Z_95 = 1.959963984540054


@dataclass(frozen=True)
class Share:
    """`value`, 0 .. 1, of `n` cases, with the bounds of its 95 % interval."""

    value: float
    low: float
    high: float
    n: int

    @classmethod
    def of(cls, count: float, n: int) -> "Share":
        """Compute the share of `count` in `n` independent cases.

        A fractional count is for cases that are means themselves.
        """
        if not 0 <= count <= n or n < 1:
            raise ValueError(f"{count} of {n} is no share")
        share, square = count / n, Z_95**2 / n
        middle = (share + square / 2) / (1 + square)
        reach = Z_95 * (share * (1 - share) / n + square / (4 * n)) ** 0.5 / (1 + square)
        return cls(share, max(0.0, middle - reach), min(1.0, middle + reach), n)

    def __str__(self) -> str:
        low, high = 100 * self.low, 100 * self.high
        return f"{100 * self.value:.0f} % [{low:.0f}, {high:.0f}] of {self.n}"

    def to_dict(self) -> dict[str, float]:
        return asdict(self)
