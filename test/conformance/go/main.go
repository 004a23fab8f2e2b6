// Command conformance runs cases of Apache's Go client against one cluster, all at a time, and prints one JSON line for each on
// stdout: {"case":"…","passed":true,"ms":12} with "error" where it failed.
// Flags: -namesrv HOST:PORT, -broker HOST:PORT (the master's address), -broker-name NAME (broker-a), -only REGEX, -prefix TEXT
// (what stands before a case's name where -only looks), -case-seconds N (150). With send or receive before its flags it does that
// alone: see talk.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"regexp"
	"sync"
	"time"

	"github.com/apache/rocketmq-client-go/v2/rlog"
)

type outcome struct {
	Case   string `json:"case"`
	Passed bool   `json:"passed"`
	Ms     int64  `json:"ms"`
	Error  string `json:"error,omitempty"`
}

func main() {
	rlog.SetLogLevel("fatal")
	if talkOrCases() {
		return
	}
	namesrv := flag.String("namesrv", "", "host:port of the NameServer")
	brokerAddr := flag.String("broker", "", "host:port of the master")
	brokerName := flag.String("broker-name", "broker-a", "the master's brokerName")
	only := flag.String("only", "", "regular expression of case names")
	prefix := flag.String("prefix", "", "what stands before case names")
	caseSeconds := flag.Int("case-seconds", 150, "the longest that a case may take")
	flag.Parse()

	wanted := regexp.MustCompile(*only)
	output := json.NewEncoder(os.Stdout)
	var printing sync.Mutex
	var running sync.WaitGroup
	count, failed := 0, 0
	for name, body := range cases {
		if !wanted.MatchString(*prefix + name) {
			continue
		}
		count++
		running.Add(1)
		go func() {
			defer running.Done()
			world := &world{caseName: name, namesrv: *namesrv, brokerAddr: *brokerAddr, brokerName: *brokerName}
			result := run(world, body, time.Duration(*caseSeconds)*time.Second)
			printing.Lock()
			defer printing.Unlock()
			if !result.Passed {
				failed++
			}
			_ = output.Encode(result)
		}()
	}
	running.Wait()
	if count == 0 {
		fmt.Println("no case has such a name")
	}
	// Clients leave goroutines behind that never end; they end with the process.
	if failed > 0 {
		os.Exit(1)
	}
}

// run executes one case under its deadline and closes its clients; a panic is a failure with its words.
func run(world *world, body func(*world) error, limit time.Duration) outcome {
	started := time.Now()
	done := make(chan error, 1)
	go func() {
		defer func() {
			if reason := recover(); reason != nil {
				done <- fmt.Errorf("panic: %v", reason)
			}
		}()
		defer world.close()
		done <- body(world)
	}()
	var err error
	select {
	case err = <-done:
	case <-time.After(limit):
		err = fmt.Errorf("did not end within %s", limit)
	}
	result := outcome{Case: world.caseName, Passed: err == nil, Ms: time.Since(started).Milliseconds()}
	if err != nil {
		result.Error = err.Error()
	}
	return result
}
