package gate

import (
	"bytes"
	"strconv"
)

// A key of the type numeric is a number, and 1042, 1042.0 and 1042.00 are one: the
// ledger has it without zeros at its end, and an integer as if its type were one.

// trimScale is a numeric, as the server shows it, without zeros at the end of its
// fraction.
func trimScale(v []byte) []byte {
	if bytes.IndexByte(v, '.') < 0 {
		return v
	}
	return bytes.TrimSuffix(bytes.TrimRight(v, "0"), []byte{'.'})
}

// The binary form of numeric (numeric_send in the server's numeric.c): how many
// digits to the base 10000 there are, the power of the first, the sign and how many
// decimal digits are shown behind the point, two bytes each; then the digits.
const (
	numericMinus = 0x4000
	numericNaN   = 0xC000

	// A column that says how many decimal digits it has has at most 1,000.
	mostNumericDigits = 1024 / 4
)

// numericText is what trimScale gives of the text form of a numeric in binary. False:
// it is none, or longer than a number for people would be.
func numericText(v []byte) ([]byte, bool) {
	if len(v) < 8 {
		return nil, false
	}
	n, weight, sign := int(be.Uint16(v)), int(int16(be.Uint16(v[2:]))), be.Uint16(v[4:])
	digits := v[8:]
	switch {
	case len(digits) != 2*n:
		return nil, false
	case sign == numericNaN:
		return []byte("NaN"), n == 0
	case sign != 0 && sign != numericMinus || n > 2*mostNumericDigits || weight > mostNumericDigits || weight < -mostNumericDigits:
		return nil, false
	}
	at := func(power int) (uint16, bool) {
		i := weight - power
		if i < 0 || i >= n {
			return 0, true
		}
		d := be.Uint16(digits[2*i:])
		return d, d < 10000
	}
	out := make([]byte, 0, 4*(max(weight, 0)+n)+8)
	for power := max(weight, 0); power >= min(weight-n+1, 0); power-- {
		d, ok := at(power)
		if !ok {
			return nil, false
		}
		if power == -1 {
			out = append(out, '.')
		}
		out = append(out, byte('0'+d/1000), byte('0'+d/100%10), byte('0'+d/10%10), byte('0'+d%10))
	}
	out = trimScale(out)
	if out = bytes.TrimLeft(out, "0"); len(out) == 0 || out[0] == '.' {
		out = append([]byte{'0'}, out...)
	}
	if sign == numericMinus && !bytes.Equal(out, []byte{'0'}) {
		out = append([]byte{'-'}, out...)
	}
	return out, true
}

// appendNumeric appends the binary form of a natural number given by its decimal
// digits.
func appendNumeric(to, text []byte) []byte {
	for len(text)%4 != 0 {
		text = append([]byte{'0'}, text...)
	}
	n := len(text) / 4
	to = be.AppendUint16(to, uint16(n))
	to = be.AppendUint16(to, uint16(n-1))
	to = be.AppendUint32(to, 0)
	for ; len(text) > 0; text = text[4:] {
		d, _ := strconv.ParseUint(string(text[:4]), 10, 16)
		to = be.AppendUint16(to, uint16(d))
	}
	return to
}

// binaryNumeric: v is, in binary, the numeric that a ledger has as old.
func binaryNumeric(v []byte, old string) bool {
	text, ok := numericText(v)
	return ok && string(text) == old
}

// plainInteger: it is an integer as the server shows it. What a client writes
// otherwise (an exponent, a fraction, another base) the server reads too, and may
// round to what the column takes.
func plainInteger(v []byte) bool {
	v = bytes.TrimPrefix(v, []byte{'-'})
	if len(v) == 0 || v[0] == '0' {
		return string(v) == "0"
	}
	for _, c := range v {
		if c < '0' || c > '9' {
			return false
		}
	}
	return true
}
