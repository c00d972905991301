// Package names says what the name of a gauge, a prefix and a tag may hold, and
// what the placeholders in prefixes and tags stand for.
package names

import "strings"

// Right says which characters are safe, for errors.
const Right = "letters, digits, '_', '-' and '.'"

// SafeRune reports whether StatsD and Graphite leave c in a name as it is.
func SafeRune(c rune) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '_' || c == '-' || c == '.'
}

// Safe returns name with each character that is not safe made '_' and empty
// parts left out; "_" if nothing remains.
func Safe(name string) string {
	if isSafe(name) {
		return name
	}
	name = strings.Map(func(c rune) rune {
		if SafeRune(c) {
			return c
		}
		return '_'
	}, name)
	parts := strings.FieldsFunc(name, func(c rune) bool { return c == '.' })
	if len(parts) == 0 {
		return "_"
	}
	return strings.Join(parts, ".")
}

// isSafe reports whether Safe would leave name as it is. It allocates nothing.
func isSafe(name string) bool {
	afterDot := true
	for i := 0; i < len(name); i++ {
		if !SafeRune(rune(name[i])) || name[i] == '.' && afterDot {
			return false
		}
		afterDot = name[i] == '.'
	}
	return !afterDot
}

// Cut returns the first n bytes of name, without a dot at their end.
func Cut(name string, n int) string {
	if len(name) > n {
		for n > 0 && name[n-1] == '.' {
			n--
		}
		return name[:n]
	}
	return name
}
