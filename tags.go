package runtimemetrics

import (
	"fmt"
	"strings"

	"github.com/cactus/go-statsd-client/v5/statsd"
)

// tagFormats are the ways in which servers read tags, by the name of each.
var tagFormats = map[string]statsd.TagFormat{
	"datadog":  statsd.SuffixOctothorpe, // name:1|g|#k:v
	"influx":   statsd.InfixComma,       // name,k=v:1|g
	"graphite": statsd.InfixSemicolon,   // name;k=v:1|g
}

func checkTagFormat(text string) error {
	if _, ok := tagFormats[text]; !ok {
		return fmt.Errorf(`is not a format of tags; use "datadog", "influx" or "graphite"`)
	}
	return nil
}

func checkTags(text string) error {
	_, err := parseTags(text)
	return err
}

// parseTags reads key:value pairs that are separated by commas. It refuses
// whatever one of the servers would read as syntax, drop or change: carbon, for
// one, fails on a tag without a value, and with it all tags that came along.
func parseTags(text string) ([]statsd.Tag, error) {
	const right = "use key:value pairs of letters, digits, '_', '-' and '.', such as env:prod,service:api, and {host} and {exe} in values"
	if text == "" {
		return nil, nil
	}
	if len(text) > maxTags {
		return nil, fmt.Errorf("must not be longer than %d bytes, since they are on every gauge", maxTags)
	}
	var tags []statsd.Tag
	seen := map[string]bool{}
	for _, pair := range strings.Split(text, ",") {
		key, value, ok := strings.Cut(pair, ":")
		literal := replacePlaceholders(value, "_", "_")
		switch {
		case !ok || key == "" || value == "":
			return nil, fmt.Errorf("tag %q lacks its key or its value; %s", pair, right)
		case !('a' <= key[0] && key[0] <= 'z' || 'A' <= key[0] && key[0] <= 'Z'):
			return nil, fmt.Errorf("tag %q must begin with a letter; %s", pair, right)
		case key == "name":
			return nil, fmt.Errorf("tag %q: the key name is Graphite's own; %s", pair, right)
		case seen[key]:
			return nil, fmt.Errorf("tag %q: the key is there twice; %s", pair, right)
		}
		for _, c := range key + literal {
			if !safeRune(c) {
				return nil, fmt.Errorf("tag %q must not hold %q; %s", pair, c, right)
			}
		}
		seen[key] = true
		tags = append(tags, statsd.Tag{key, value})
	}
	return tags, nil
}

// expandTags returns the tags of a text that has been checked, with the
// placeholders in their values replaced.
func expandTags(text string, host hostInfo) []statsd.Tag {
	tags, _ := parseTags(text)
	for i := range tags {
		tags[i][1] = replacePlaceholders(tags[i][1], host.safeHost(), host.safeExe())
	}
	return tags
}
