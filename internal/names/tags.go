package names

import (
	"fmt"
	"strings"
)

const (
	maxLiteralTags = 255
	maxTags        = 512
)

// CheckTags refuses what ParseTags does not take.
func CheckTags(text string) error {
	_, err := parseTags(text)
	return err
}

// parseTags reads key:value pairs that are separated by commas. It refuses
// whatever one of the servers would read as syntax, drop or change: carbon, for
// one, fails on a tag without a value, and with it all tags that came along.
func parseTags(text string) ([][2]string, error) {
	const right = "use key:value pairs of " + Right + ", such as env:prod,service:api, and placeholders in values"
	if text == "" {
		return nil, nil
	}
	var tags [][2]string
	seen := map[string]bool{}
	size := 0
	for _, pair := range strings.Split(text, ",") {
		key, value, ok := strings.Cut(pair, ":")
		plain, placeholders, err := literal(value)
		size += len(key) + len(plain) - placeholders + len(":,")
		switch {
		case err != nil:
			return nil, fmt.Errorf("tag %q: %w", pair, err)
		case !ok || key == "" || value == "":
			return nil, fmt.Errorf("tag %q lacks its key or its value; %s", pair, right)
		case !('a' <= key[0] && key[0] <= 'z' || 'A' <= key[0] && key[0] <= 'Z'):
			return nil, fmt.Errorf("tag %q must begin with a letter; %s", pair, right)
		case key == "name":
			return nil, fmt.Errorf("tag %q: the key name is Graphite's own; %s", pair, right)
		case seen[key]:
			return nil, fmt.Errorf("tag %q: the key is there twice; %s", pair, right)
		}
		for _, c := range key + plain {
			if !SafeRune(c) {
				return nil, fmt.Errorf("tag %q must not hold %q; %s", pair, c, right)
			}
		}
		seen[key] = true
		tags = append(tags, [2]string{key, value})
	}
	if size-1 > maxLiteralTags {
		return nil, fmt.Errorf("must not be longer than %d bytes beside their placeholders, since they are on every gauge", maxLiteralTags)
	}
	return tags, nil
}

// Tags returns the keys and values that a checked text stands for. What a
// placeholder stands for keeps its dots. The first tag that does not fit into 512
// bytes is left out whole, and so are those after it: a value that is cut would be
// another one.
func (p Process) Tags(text string) [][2]string {
	tags, _ := parseTags(text)
	size := 0
	for i := range tags {
		tags[i][1], _ = expand(tags[i][1], func(key string) string { return Safe(p.lookup(key)) })
		if size += len(tags[i][0]) + len(tags[i][1]) + len(":,"); size-1 > maxTags {
			return tags[:i]
		}
	}
	return tags
}
