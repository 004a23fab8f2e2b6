package main

import (
	"context"
	"fmt"
	"os"
	"slices"
	"sync"
	"time"

	rocketmq "github.com/apache/rocketmq-client-go/v2"
	"github.com/apache/rocketmq-client-go/v2/admin"
	"github.com/apache/rocketmq-client-go/v2/consumer"
	"github.com/apache/rocketmq-client-go/v2/primitive"
	"github.com/apache/rocketmq-client-go/v2/producer"
)

// How long a consumer may take to get going: a client that missed a route asks again after 30 s, and shares queues each 20 s.
const deliveryLimit = 75 * time.Second

// world is what a case works with: a topic and groups named after it, and clients that are closed when it ends. Each client has
// an instance of its own, as if it were a process of its own.
type world struct {
	caseName, namesrv, brokerAddr, brokerName string

	mutex     sync.Mutex
	instances int
	closing   []func()
}

func (w *world) topicName() string { return "T_go_" + w.caseName }
func (w *world) group() string     { return "G_go_" + w.caseName }

func (w *world) later(task func()) {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	w.closing = append(w.closing, task)
}

func (w *world) close() {
	for _, task := range slices.Backward(w.closing) {
		task()
	}
}

func (w *world) instance() string {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	w.instances++
	return fmt.Sprintf("%s-%d-%d", w.caseName, os.Getpid(), w.instances)
}

func (w *world) resolver() primitive.NsResolver {
	return primitive.NewPassthroughResolver([]string{w.namesrv})
}

func (w *world) admin() (admin.Admin, error) {
	client, err := admin.NewAdmin(admin.WithResolver(w.resolver()))
	if err == nil {
		w.later(func() { _ = client.Close() })
	}
	return client, err
}

// topic creates the topic of this case and waits until clients can find it.
func (w *world) topic(queues int) (string, error) {
	return w.topicNamed(w.topicName(), queues)
}

func (w *world) topicNamed(topic string, queues int) (string, error) {
	client, err := w.admin()
	if err != nil {
		return "", err
	}
	err = client.CreateTopic(context.Background(), admin.WithTopicCreate(topic), admin.WithBrokerAddrCreate(w.brokerAddr),
		admin.WithReadQueueNums(queues), admin.WithWriteQueueNums(queues))
	if err != nil {
		return "", fmt.Errorf("creating %s: %w", topic, err)
	}
	return topic, eventually(15*time.Second, "a route of "+topic, func() bool {
		found, err := client.FetchPublishMessageQueues(context.Background(), topic)
		return err == nil && len(found) == queues
	})
}

func (w *world) producer(options ...producer.Option) (rocketmq.Producer, error) {
	all := append([]producer.Option{
		producer.WithNsResolver(w.resolver()), producer.WithGroupName("P_" + w.caseName),
		producer.WithInstanceName(w.instance()), producer.WithSendMsgTimeout(10 * time.Second), producer.WithRetry(2),
	}, options...)
	client, err := rocketmq.NewProducer(all...)
	if err != nil {
		return nil, err
	}
	if err := client.Start(); err != nil {
		return nil, err
	}
	w.later(func() { _ = client.Shutdown() })
	return client, nil
}

// topicAndProducer creates the topic of this case, and a producer to fill it.
func (w *world) topicAndProducer(queues int, options ...producer.Option) (string, rocketmq.Producer, error) {
	topic, err := w.topic(queues)
	if err != nil {
		return "", nil, err
	}
	client, err := w.producer(options...)
	return topic, client, err
}

type listener = func(context.Context, ...*primitive.MessageExt) (consumer.ConsumeResult, error)

// push starts a push consumer that reads from the first message on.
func (w *world) push(topic, tags string, onMessages listener, options ...consumer.Option) (rocketmq.PushConsumer, error) {
	all := append([]consumer.Option{
		consumer.WithNsResolver(w.resolver()), consumer.WithGroupName(w.group()), consumer.WithInstance(w.instance()),
		consumer.WithConsumeFromWhere(consumer.ConsumeFromFirstOffset),
	}, options...)
	client, err := rocketmq.NewPushConsumer(all...)
	if err != nil {
		return nil, err
	}
	if err := client.Subscribe(topic, consumer.MessageSelector{Type: consumer.TAG, Expression: tags}, onMessages); err != nil {
		return nil, err
	}
	if err := client.Start(); err != nil {
		return nil, err
	}
	w.later(func() { _ = client.Shutdown() })
	return client, nil
}

// pull starts a pull consumer.
func (w *world) pull(topic, tags string, options ...consumer.Option) (rocketmq.PullConsumer, error) {
	all := append([]consumer.Option{
		consumer.WithNsResolver(w.resolver()), consumer.WithGroupName(w.group()), consumer.WithInstance(w.instance()),
		consumer.WithConsumeFromWhere(consumer.ConsumeFromFirstOffset),
	}, options...)
	client, err := rocketmq.NewPullConsumer(all...)
	if err != nil {
		return nil, err
	}
	if err := client.Subscribe(topic, consumer.MessageSelector{Type: consumer.TAG, Expression: tags}); err != nil {
		return nil, err
	}
	if err := client.Start(); err != nil {
		return nil, err
	}
	w.later(func() { _ = client.Shutdown() })
	return client, nil
}

func (w *world) queue(topic string, queueID int) *primitive.MessageQueue {
	return &primitive.MessageQueue{Topic: topic, BrokerName: w.brokerName, QueueId: queueID}
}

// read pulls a queue from its start until count messages are there.
func (w *world) read(client rocketmq.PullConsumer, queue *primitive.MessageQueue, count int) ([]*primitive.MessageExt, error) {
	var all []*primitive.MessageExt
	next := int64(0)
	err := eventually(30*time.Second, fmt.Sprintf("%d messages in %v", count, queue), func() bool {
		result, err := client.PullFrom(context.Background(), queue, next, 32)
		if err != nil {
			return false
		}
		if result.Status == primitive.PullFound {
			all = append(all, result.GetMessageExts()...)
		}
		next = result.NextBeginOffset
		return len(all) >= count
	})
	return all, err
}

// readAll reads the first queue of a topic with a consumer of its own until count messages are there.
func (w *world) readAll(topic string, count int, options ...consumer.Option) ([]*primitive.MessageExt, error) {
	client, err := w.pull(topic, "*", options...)
	if err != nil {
		return nil, err
	}
	return w.read(client, w.queue(topic, 0), count)
}

// received is what a listener saw, by body.
type received struct {
	mutex  sync.Mutex
	counts map[string]int
	all    []*primitive.MessageExt
}

func (r *received) listener() listener {
	return func(_ context.Context, messages ...*primitive.MessageExt) (consumer.ConsumeResult, error) {
		r.mutex.Lock()
		defer r.mutex.Unlock()
		if r.counts == nil {
			r.counts = map[string]int{}
		}
		for _, message := range messages {
			r.counts[string(message.Body)]++
			r.all = append(r.all, message)
		}
		return consumer.ConsumeSuccess, nil
	}
}

func (r *received) size() int {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	return len(r.counts)
}

func (r *received) has(body string) bool {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	return r.counts[body] > 0
}

// queues is how many queues messages came from.
func (r *received) queues() int {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	seen := map[int]bool{}
	for _, message := range r.all {
		seen[message.Queue.QueueId] = true
	}
	return len(seen)
}

func (r *received) clear() {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	r.counts, r.all = nil, nil
}

// eventually polls until the probe holds.
func eventually(limit time.Duration, what string, probe func() bool) error {
	for end := time.Now().Add(limit); !probe(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			return fmt.Errorf("not within %s: %s", limit, what)
		}
	}
	return nil
}

func equal[T comparable](expected, seen T, what string) error {
	if expected != seen {
		return fmt.Errorf("%s: expected %v, saw %v", what, expected, seen)
	}
	return nil
}

// first returns the first error of several checks.
func first(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
