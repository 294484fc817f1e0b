package report

import (
	"math/big"
	"strconv"
)

// Figures are JSON numbers, never texts. A time that does not exist is null.

func whole(n int64) string { return strconv.FormatInt(n, 10) }

// seconds returns ms in seconds, rounded once, half up.
func seconds(ms int64) string { return whole((ms + 500) / 1000) }

// average returns a mean with at most two decimals, half up; 0 of nothing.
func average(sum, n int64) string { return quotient(sum, n, 100) }

// percent returns a share from 0 to 100 (not capped) with at most two decimals, half up; 0
// of nothing.
func percent(part, base int64) string { return quotient(part, base, 10_000) }

// quotient returns scale*part/base, which is in hundredths, rounded half up, in integers:
// floor((2*scale*part + base) / (2*base)).
func quotient(part, base, scale int64) string {
	if base <= 0 {
		return "0"
	}
	const small = 1 << 46 // below it nothing overflows
	if part >= 0 && part < small && base < small {
		return hundredths(strconv.FormatInt((2*scale*part+base)/(2*base), 10))
	}
	up := new(big.Int).Mul(big.NewInt(part), big.NewInt(2*scale))
	up.Add(up, big.NewInt(base))
	return hundredths(up.Div(up, new(big.Int).Lsh(big.NewInt(base), 1)).String())
}

// hundredths returns a number of hundredths as a number without needless zeros.
func hundredths(digits string) string {
	for len(digits) < 3 {
		digits = "0" + digits
	}
	at := len(digits) - 2
	switch frac := digits[at:]; {
	case frac == "00":
		return digits[:at]
	case frac[1] == '0':
		return digits[:at] + "." + frac[:1]
	default:
		return digits[:at] + "." + frac
	}
}

// instant returns a time in Unix ms; null for 0.
func instant(t int64) string {
	if t == 0 {
		return "null"
	}
	return whole(t)
}
