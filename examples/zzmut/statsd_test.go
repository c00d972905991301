package main

import (
	"fmt"
	"strings"
	"testing"
)

func TestParsing(t *testing.T) {
	for _, tt := range []struct {
		name, text string
		want       string // samples
		bad        string // reasons
		ignored    int
	}{
		{"several lines, with and without a last line end", "a:1|g\nb:2.5|g\n", "a=1 b=2.5", "", 0},
		{"line ends of Windows", "a:1|g\r\nb:2|g\r\n", "a=1 b=2", "", 0},
		{"signed values are changes", "a:-1|g\nb:+2|g", "a+=-1 b+=2", "", 0},
		{"Datadog's tags", "a:1|g|#svc:api,env:prod", "a{env:prod,svc:api}=1", "", 0},
		{"InfluxDB's tags", "a,env=prod,svc=api:1|g", "a{env:prod,svc:api}=1", "", 0},
		{"Graphite's tags", "a;env=prod;svc=api:1|g", "a{env:prod,svc:api}=1", "", 0},
		{"other types are not shown", "a:1|c\nb:2|ms\nc:3|h", "", "", 3},
		{"a sample rate is passed over", "a:1|g|@0.5|#b:c\nd:1|ms|@0.000000001", "a{b:c}=1", "", 1},
		{"a value that is none", "a:x|g\nb:1|g", "b=1", "bad value", 0},
		{"no value", "a", "", "bad line", 0},
		{"no type", "a:1", "", "not enough '|'-delimited parts after first ':'", 0},
		{"an unknown type", "a:1|q", "", "bad stat type q", 0},
		{"NaN and infinity", "a:NaN|g\nb:Inf|g", "", "the value is not a finite number", 0},
		{"a tag without a value is bad, the gauge is not", "a:1|g|#prod", "a=1", "Malformed name tag", 0},
		{"tags that are too long", "a:1|g|#x:" + strings.Repeat("y", 511), "", "the tags are longer than 512 bytes", 0},
		{"a line that is too long", "a:1|g|#x:" + strings.Repeat("y", 2000) + "\nb:1|g", "b=1", "the line is longer than 1012 bytes", 0},
		{"a character that would not be seen", "a\x01b:1|g\na\u202eb:1|g", "", "a character that cannot be printed", 0},
		{"a name that is too long", strings.Repeat("x", 301) + ":1|g", "", "the name is longer than 300 bytes", 0},
		{"bytes that are no text", "a\xff:1|g", "", "bad line", 0},
		{"nothing", "", "", "", 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := newParser().parse(tt.text)
			var samples []string
			for _, s := range d.samples {
				name, is := s.name, "="
				if s.tags != "" {
					name += "{" + s.tags + "}"
				}
				if s.relative {
					is = "+="
				}
				samples = append(samples, fmt.Sprint(name, is, s.value))
			}
			want(t, strings.Join(samples, " "), tt.want)
			want(t, d.lastBad.Why, tt.bad)
			want(t, d.bad > 0, tt.bad != "")
			want(t, d.ignored, tt.ignored)
		})
	}
}

func TestBadLinesAreCountedAndTheLastIsShown(t *testing.T) {
	f := newFeed()
	f.send(1, "one")
	f.send(7, "a:1|g", "two", strings.Repeat("ü", 500))
	c := f.answer(f.now, query{}, "").Counts
	want(t, c.Bad, 3)
	want(t, *c.LastBad, badLine{strings.Repeat("ü", 120) + "…", "bad line", "127.0.0.1:7"})
}

func FuzzParse(f *testing.F) {
	f.Add("a:1|g\nb:-2|g|#c:d")
	f.Add("a;b=c,d=e:1:2|g|@0|#")
	f.Add("a:1|h|@0.0000001")
	f.Fuzz(func(t *testing.T, text string) {
		feed := newFeed()
		feed.send(1, text)
		for _, svc := range feed.services {
			feed.curve(svc.id, "")
		}
	})
}
