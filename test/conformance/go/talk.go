package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/apache/rocketmq-client-go/v2/consumer"
	"github.com/apache/rocketmq-client-go/v2/primitive"
)

// talk sends numbered messages, or receives them; one JSON line on stdout. Every run is bounded in time.
//
//	send    -namesrv A -topic T -prefix P -count N     P0…P(N-1): {"acked":N,"queues":Q}
//	receive -namesrv A -topic T -group G -prefix P -count N     until all of them were received: {"missing":[]}
func talk(verb string, args []string) error {
	flags := flag.NewFlagSet(verb, flag.ExitOnError)
	namesrv := flags.String("namesrv", "", "host:port of the NameServer")
	topic := flags.String("topic", "", "the topic")
	group := flags.String("group", "", "the consumer group")
	prefix := flags.String("prefix", "", "what all bodies begin with")
	count := flags.Int("count", 0, "how many messages")
	_ = flags.Parse(args)
	world := &world{caseName: "talk_" + strings.Trim(*prefix, "-"), namesrv: *namesrv}
	defer world.close()
	if verb == "send" {
		return talkSend(world, *topic, *prefix, *count)
	}
	return talkReceive(world, *topic, *group, *prefix, *count)
}

func talkSend(world *world, topic, prefix string, count int) error {
	client, err := world.producer()
	if err != nil {
		return err
	}
	queues := map[string]bool{}
	for _, body := range numbered(prefix, count) {
		result, err := client.SendSync(context.Background(), primitive.NewMessage(topic, []byte(body)))
		if err != nil {
			return fmt.Errorf("sending %s: %w", body, err)
		}
		if result.Status != primitive.SendOK {
			return fmt.Errorf("sending %s: status %d", body, result.Status)
		}
		queues[fmt.Sprintf("%s/%d", result.MessageQueue.BrokerName, result.MessageQueue.QueueId)] = true
	}
	return json.NewEncoder(os.Stdout).Encode(map[string]int{"acked": count, "queues": len(queues)})
}

func talkReceive(world *world, topic, group, prefix string, count int) error {
	seen := &received{}
	if _, err := world.push(topic, "*", seen.listener(), consumer.WithGroupName(group)); err != nil {
		return err
	}
	missing := func() []string {
		lacks := []string{}
		for _, body := range numbered(prefix, count) {
			if !seen.has(body) {
				lacks = append(lacks, body)
			}
		}
		return lacks
	}
	_ = eventually(deliveryLimit, "all messages", func() bool { return len(missing()) == 0 })
	lacks := missing()
	if err := json.NewEncoder(os.Stdout).Encode(map[string][]string{"missing": lacks}); err != nil {
		return err
	}
	if len(lacks) > 0 {
		return errors.New("not all were received")
	}
	return nil
}

// talkOrCases returns after a talk, which ends the process where it fails; false: cases are asked for.
func talkOrCases() bool {
	if len(os.Args) < 2 || (os.Args[1] != "send" && os.Args[1] != "receive") {
		return false
	}
	within := time.AfterFunc(2*deliveryLimit, func() {
		fmt.Fprintln(os.Stderr, "did not end in time")
		os.Exit(1)
	})
	defer within.Stop()
	if err := talk(os.Args[1], os.Args[2:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	return true
}
