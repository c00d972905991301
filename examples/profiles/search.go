package main

import (
	"fmt"
	"net/http"
	"regexp"
	"strings"
)

// text is what is searched.
var text = strings.Repeat("The quick brown fox jumps over the lazy dog.\n", 20)

// search answers a request. The mistake: each one compiles the same expression.
func search(w http.ResponseWriter, _ *http.Request) {
	words := regexp.MustCompile(`(?i)\b(quick|brown|lazy)\s+\p{L}+\b`)
	fmt.Fprintln(w, len(words.FindAllString(text, -1)))
}
