package names

import (
	"fmt"
	"strings"
)

// DetectHostname is the default prefix, spelled as go-runtime-metrics spelled it:
// "go." and the host name, whose dots are kept.
const DetectHostname = "<detect-hostname>"

const (
	// What is written literally in a prefix leaves room for a gauge in the
	// smallest datagram; what placeholders add to it is cut instead, since a
	// service must start on whatever host it is put.
	maxLiteral = 128
	maxPrefix  = 192
)

// CheckPrefix refuses what StatsD would cut, drop, change or read as syntax: it
// keeps [A-Za-z0-9_.-] only, and Graphite collapses empty parts.
func CheckPrefix(text string) error {
	if text == DetectHostname {
		return nil
	}
	const right = "use " + Right + ", and placeholders, as in go.{host}.{exe}"
	plain, placeholders, err := literal(text)
	if err != nil {
		return err
	}
	for _, c := range plain {
		if !SafeRune(c) {
			return fmt.Errorf("must not hold %q; %s", c, right)
		}
	}
	if len(plain)-placeholders > maxLiteral {
		return fmt.Errorf("must not be longer than %d bytes beside its placeholders, to leave room for a gauge in a datagram", maxLiteral)
	}
	if plain = strings.TrimSuffix(plain, "."); strings.HasPrefix(plain, ".") || strings.HasSuffix(plain, ".") || strings.Contains(plain, "..") {
		return fmt.Errorf("must not begin with a dot or hold two in a row; %s", right)
	}
	return nil
}

// Prefix returns the prefix that a checked text stands for, without a dot at its
// end. What a placeholder stands for is one part of the name: its dots are made
// '_'.
func (p Process) Prefix(text string) string {
	if text == DetectHostname {
		return Cut("go."+Safe(p.lookup("host")), maxPrefix)
	}
	text, _ = expand(text, func(key string) string {
		return strings.ReplaceAll(Safe(p.lookup(key)), ".", "_")
	})
	return Cut(strings.TrimSuffix(text, "."), maxPrefix)
}
