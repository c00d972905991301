//go:build linux

package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Of the 27 gauges of every process, as up starts them.
const (
	processes = 50
	gauges    = 27 * processes
	below     = "stats.gauges."
)

var statsds = []string{"a", "b", "c"}

// clocks are the gauges that grow with every tick of examples/cluster/service. A
// value among them that is lower than an earlier one is old.
var clocks = regexp.MustCompile(`\.mem\.(gc\.(count|last|pause_total)|total|malloc|frees)$`)

// cluster is what up has started.
type cluster struct {
	work  string
	env   []string
	ports map[string]string
}

func open(work string, env []string) (*cluster, error) {
	file, err := os.Open(filepath.Join(work, "ports"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("nothing is up in %s: start it with examples/cluster/up", work)
	}
	if err != nil {
		return nil, err
	}
	defer file.Close()
	c := &cluster{work: work, env: append(env, "RUNTIMEMETRICS_CLUSTER_DIR="+work), ports: map[string]string{}}
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		name, value, _ := strings.Cut(lines.Text(), "=")
		c.ports[name] = value
	}
	return c, lines.Err()
}

// up starts what is missing.
func (c *cluster) up() error {
	cmd := exec.Command("./up", "--no-install")
	cmd.Dir = c.scripts()
	cmd.Env = c.env
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("up: %v\n%s", err, out)
	}
	return nil
}

// scripts is examples/cluster, whether the program runs there or a test in outage.
func (c *cluster) scripts() string {
	if _, err := os.Stat("up"); err == nil {
		return "."
	}
	return ".."
}

// running opens the file on which a part holds a lock for as long as it runs, and
// which has its pid.
func (c *cluster) running(part string) (*os.File, error) {
	file, err := os.Open(filepath.Join(c.work, "run", part+".pid"))
	if err == nil && !ended(file) {
		return file, nil
	}
	file.Close()
	return nil, fmt.Errorf("%s is not up: start it with examples/cluster/up", part)
}

func ended(part *os.File) bool {
	return syscall.Flock(int(part.Fd()), syscall.LOCK_SH|syscall.LOCK_NB) == nil
}

// signal sends a signal to a part and waits until its process is gone.
func (c *cluster) signal(part string, sig syscall.Signal) error {
	file, err := c.running(part)
	if err != nil {
		return err
	}
	defer file.Close()
	var pid int
	if _, err := fmt.Fscan(file, &pid); err != nil {
		return err
	}
	if err := syscall.Kill(pid, sig); err != nil {
		return err
	}
	for deadline := time.Now().Add(patience); !ended(file); {
		if time.Now().After(deadline) {
			return fmt.Errorf("%s does not end", part)
		}
		time.Sleep(10 * time.Millisecond)
	}
	return nil
}

// inStatsD returns the gauges that a StatsD holds of those with a prefix, with
// their values.
func (c *cluster) inStatsD(name, prefix string) (map[string]string, error) {
	conn, err := net.DialTimeout("tcp", "127.0.0.1:"+c.ports["STATSD_"+strings.ToUpper(name)+"_MGMT_PORT"], patience)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(patience))
	if _, err := io.WriteString(conn, "gauges\n"); err != nil {
		return nil, err
	}
	held := map[string]string{}
	lines := bufio.NewScanner(conn)
	for lines.Scan() && lines.Text() != "END" {
		// A line is 'name': value, as util.inspect writes it.
		gauge, value, _ := strings.Cut(strings.Trim(lines.Text(), "{}, "), ": ")
		if gauge = strings.Trim(gauge, "'"); strings.HasPrefix(gauge, prefix) {
			held[gauge] = value
		}
	}
	return held, lines.Err()
}

// inCarbon returns the fleet's gauges that a carbon-cache has files of.
func (c *cluster) inCarbon(name string) (map[string]bool, error) {
	held := map[string]bool{}
	root := filepath.Join(c.work, "storage", name, "whisper")
	err := filepath.WalkDir(filepath.Join(root, "stats/gauges/fleet"), func(path string, _ fs.DirEntry, err error) error {
		if relative, ok := strings.CutSuffix(strings.TrimPrefix(path, root+"/"), ".wsp"); ok {
			held[strings.ReplaceAll(relative, "/", ".")] = true
		}
		return err
	})
	return held, err
}

// series are points, one a second; the value is nil where there is none.
type series map[string][]*float64

// points asks Graphite for every gauge of the fleet, from one second up to and
// including another.
func (c *cluster) points(from, until time.Time) (series, error) {
	query := url.Values{
		"format": {"json"}, "noCache": {"1"},
		// Graphite leaves out the second that from names.
		"from":   {strconv.FormatInt(from.Unix()-1, 10)},
		"until":  {strconv.FormatInt(until.Unix(), 10)},
		"target": {below + "fleet.*.*.*", below + "fleet.*.*.*.*"},
	}
	body, err := c.render(query)
	if err != nil {
		return nil, err
	}
	var answer []struct {
		Target     string
		Datapoints [][2]*float64 // value or null, time in seconds
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return nil, err
	}
	all := series{}
	for _, one := range answer {
		values := make([]*float64, until.Unix()-from.Unix()+1)
		for _, p := range one.Datapoints {
			if i := int64(*p[1]) - from.Unix(); i >= 0 && i < int64(len(values)) {
				values[i] = p[0]
			}
		}
		all[one.Target] = values
	}
	return all, nil
}

// render asks Graphite for points or for a picture.
func (c *cluster) render(query url.Values) ([]byte, error) {
	client := &http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Get("http://127.0.0.1:" + c.ports["GRAPHITE_PORT"] + "/render?" + query.Encode())
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = errors.New(response.Status)
	}
	return body, err
}

// fresh returns nil if each gauge of the fleet has a point in each of the seconds
// up to 3 s ago.
func (c *cluster) fresh(seconds int) error {
	until := time.Now().Add(-3 * time.Second)
	all, err := c.points(until.Add(time.Duration(1-seconds)*time.Second), until)
	if err != nil {
		return err
	}
	if len(all) != gauges {
		return fmt.Errorf("%d gauges of %d are in Graphite", len(all), gauges)
	}
	missing := 0
	for _, values := range all {
		if slices.Contains(values, nil) {
			missing++
		}
	}
	if missing > 0 {
		return fmt.Errorf("%d of %d gauges have gaps in the last %d s", missing, gauges, seconds)
	}
	return nil
}

// patience is how long to wait for what must happen; it says nothing about how long
// that takes.
const patience = 2 * time.Minute

// eventually polls until what it waits for is so.
func eventually(check func() error) error {
	for deadline := time.Now().Add(patience); ; time.Sleep(250 * time.Millisecond) {
		err := check()
		if err == nil {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("not so within %v: %w", patience, err)
		}
	}
}
