package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/apache/rocketmq-client-go/v2/admin"
	"github.com/apache/rocketmq-client-go/v2/consumer"
	"github.com/apache/rocketmq-client-go/v2/primitive"
	"github.com/apache/rocketmq-client-go/v2/producer"
)

// cases are things that a cluster must do, told in the words of the client that sees them.
var cases = map[string]func(*world) error{
	"sendSync":         sendSync,
	"sendAsync":        sendAsync,
	"sendOneway":       sendOneway,
	"sendBatch":        sendBatch,
	"sendProperties":   sendProperties,
	"sendChosenQueue":  sendChosenQueue,
	"sendCompressed":   sendCompressed,
	"sendUnknownTopic": sendUnknownTopic,
	"pushTags":         pushTags,
	"pushRebalance":    pushRebalance,
	"pushBroadcasting": pushBroadcasting,
	"pushOrderly":      pushOrderly,
	"pushRetry":        pushRetry,
	"pushDeadLetter":   pushDeadLetter,
	"pushResumes":      pushResumes,
	"pushSuspend":      pushSuspend,
	"pushNamespace":    pushNamespace,
	"delayLevel":       delayLevel,
	"pullFrom":         pullFrom,
	"pullPoll":         pullPoll,
	"request":          request,
	"adminTopic":       adminTopic,
}

func numbered(prefix string, count int) []string {
	all := make([]string, count)
	for i := range all {
		all[i] = fmt.Sprint(prefix, i)
	}
	return all
}

func (w *world) sendAll(topic string, bodies []string) error {
	client, err := w.producer()
	if err != nil {
		return err
	}
	for _, body := range bodies {
		if _, err := client.SendSync(context.Background(), primitive.NewMessage(topic, []byte(body))); err != nil {
			return fmt.Errorf("sending %s: %w", body, err)
		}
	}
	return nil
}

func sendSync(w *world) error {
	topic, client, err := w.topicAndProducer(1)
	if err != nil {
		return err
	}
	for i := range 10 {
		result, err := client.SendSync(context.Background(), primitive.NewMessage(topic, fmt.Appendf(nil, "m%d", i)))
		if err != nil {
			return err
		}
		if err := first(
			equal(primitive.SendOK, result.Status, "status"),
			equal(int64(i), result.QueueOffset, "queueOffset"),
			equal(w.brokerName, result.MessageQueue.BrokerName, "brokerName"),
			equal(32, len(result.MsgID), "length of msgId"),
			equal(32, len(result.OffsetMsgID), "length of offsetMsgId"),
			equal("DefaultRegion", result.RegionID, "region"),
		); err != nil {
			return err
		}
	}
	return nil
}

func sendAsync(w *world) error {
	topic, client, err := w.topicAndProducer(1)
	if err != nil {
		return err
	}
	const count = 200
	answers := make(chan error, count)
	for _, body := range numbered("a", count) {
		err := client.SendAsync(context.Background(), func(_ context.Context, result *primitive.SendResult, err error) {
			if err == nil && result.Status != primitive.SendOK {
				err = fmt.Errorf("status %d", result.Status)
			}
			answers <- err
		}, primitive.NewMessage(topic, []byte(body)))
		if err != nil {
			return err
		}
	}
	for range count {
		select {
		case err := <-answers:
			if err != nil {
				return err
			}
		case <-time.After(20 * time.Second):
			return errors.New("not every callback was called")
		}
	}
	return w.holdsAll(topic, numbered("a", count))
}

// holdsAll reads the one queue of a topic: these bodies must lie there, in any order, and no others.
func (w *world) holdsAll(topic string, bodies []string) error {
	messages, err := w.readAll(topic, len(bodies))
	if err != nil {
		return err
	}
	seen := make([]string, len(messages))
	for i, message := range messages {
		seen[i] = string(message.Body)
	}
	slices.Sort(seen)
	slices.Sort(bodies)
	return equal(strings.Join(bodies, " "), strings.Join(seen, " "), "messages")
}

func sendOneway(w *world) error {
	topic, client, err := w.topicAndProducer(1)
	if err != nil {
		return err
	}
	for _, body := range numbered("o", 20) {
		if err := client.SendOneWay(context.Background(), primitive.NewMessage(topic, []byte(body))); err != nil {
			return err
		}
	}
	return w.holdsAll(topic, numbered("o", 20))
}

func sendBatch(w *world) error {
	topic, client, err := w.topicAndProducer(1)
	if err != nil {
		return err
	}
	var batch []*primitive.Message
	for i, body := range numbered("b", 20) {
		message := primitive.NewMessage(topic, []byte(body)).WithTag(fmt.Sprint("tag", i))
		message.WithProperty("index", fmt.Sprint(i))
		batch = append(batch, message)
	}
	result, err := client.SendSync(context.Background(), batch...)
	if err != nil {
		return err
	}
	if err := first(
		equal(primitive.SendOK, result.Status, "status"),
		equal(20, len(strings.Split(result.OffsetMsgID, ",")), "offset message ids"),
	); err != nil {
		return err
	}
	messages, err := w.readAll(topic, 20)
	if err != nil {
		return err
	}
	for i, message := range messages {
		if err := first(
			equal(fmt.Sprint("b", i), string(message.Body), "body"),
			equal(fmt.Sprint("tag", i), message.GetTags(), "tags"),
			equal(fmt.Sprint(i), message.GetProperty("index"), "property"),
			equal(int64(i), message.QueueOffset, "queueOffset"),
		); err != nil {
			return err
		}
	}
	return nil
}

func sendProperties(w *world) error {
	topic, client, err := w.topicAndProducer(1)
	if err != nil {
		return err
	}
	sent := primitive.NewMessage(topic, []byte("żółć 消息 🚀")).WithTag("paid").WithKeys([]string{"k1", "k2"})
	sent.WithProperty("colour", "grün")
	result, err := client.SendSync(context.Background(), sent)
	if err != nil {
		return err
	}
	seen := &received{}
	if _, err := w.push(topic, "paid", seen.listener()); err != nil {
		return err
	}
	if err := eventually(deliveryLimit, "the message", func() bool { return seen.size() == 1 }); err != nil {
		return err
	}
	got := seen.all[0]
	return first(
		equal("żółć 消息 🚀", string(got.Body), "body"),
		equal("paid", got.GetTags(), "tags"),
		equal("k1 k2", got.GetKeys(), "keys"),
		equal("grün", got.GetProperty("colour"), "property"),
		equal(result.MsgID, got.MsgId, "msgId"),
		equal(result.OffsetMsgID, got.OffsetMsgId, "offsetMsgId"),
		equal(topic, got.Topic, "topic"),
		equal(int32(0), got.ReconsumeTimes, "reconsumeTimes"),
	)
}

func sendChosenQueue(w *world) error {
	topic, client, err := w.topicAndProducer(4, producer.WithQueueSelector(producer.NewManualQueueSelector()))
	if err != nil {
		return err
	}
	for i := range 12 {
		message := primitive.NewMessage(topic, fmt.Appendf(nil, "m%d", i))
		message.Queue = w.queue(topic, i%3)
		result, err := client.SendSync(context.Background(), message)
		if err != nil {
			return err
		}
		if err := first(
			equal(i%3, result.MessageQueue.QueueId, "queueId"),
			equal(int64(i/3), result.QueueOffset, "queueOffset"),
		); err != nil {
			return err
		}
	}
	return nil
}

func sendCompressed(w *world) error {
	topic, client, err := w.topicAndProducer(1)
	if err != nil {
		return err
	}
	body := strings.Repeat("the same again and again. ", 20_000)
	if _, err := client.SendSync(context.Background(), primitive.NewMessage(topic, []byte(body))); err != nil {
		return err
	}
	messages, err := w.readAll(topic, 1)
	if err != nil {
		return err
	}
	if int(messages[0].StoreSize) > len(body)/10 {
		return fmt.Errorf("it takes %d bytes of the store: not compressed", messages[0].StoreSize)
	}
	return equal(body, string(messages[0].Body), "body")
}

func sendUnknownTopic(w *world) error {
	client, err := w.producer()
	if err != nil {
		return err
	}
	if _, err := client.SendSync(context.Background(), primitive.NewMessage(w.topicName(), []byte("x"))); err == nil {
		return errors.New("a send to an unknown topic succeeded, though topics are not created by sending")
	}
	return nil
}

func pushTags(w *world) error {
	topic, err := w.topic(2)
	if err != nil {
		return err
	}
	seen := &received{}
	if _, err := w.push(topic, "a || b", seen.listener()); err != nil {
		return err
	}
	client, err := w.producer()
	if err != nil {
		return err
	}
	for _, tag := range []string{"a", "b", "c"} {
		for _, body := range numbered(tag, 5) {
			if _, err := client.SendSync(context.Background(), primitive.NewMessage(topic, []byte(body)).WithTag(tag)); err != nil {
				return err
			}
		}
	}
	if err := eventually(deliveryLimit, "tags a and b", func() bool { return seen.size() == 10 }); err != nil {
		return err
	}
	for _, body := range numbered("c", 5) {
		if seen.has(body) {
			return fmt.Errorf("%s has another tag", body)
		}
	}
	return nil
}

func pushRebalance(w *world) error {
	topic, err := w.topic(4)
	if err != nil {
		return err
	}
	one, two := &received{}, &received{}
	if _, err := w.push(topic, "*", one.listener()); err != nil {
		return err
	}
	second, err := w.push(topic, "*", two.listener())
	if err != nil {
		return err
	}
	round := 0
	err = eventually(deliveryLimit, "two queues each", func() bool {
		one.clear()
		two.clear()
		bodies := numbered(fmt.Sprint("r", round, ":"), 16)
		round++
		if w.sendAll(topic, bodies) != nil {
			return false
		}
		arrived := eventually(3*time.Second, "a round", func() bool { return one.size()+two.size() >= 16 })
		return arrived == nil && one.queues() == 2 && two.queues() == 2
	})
	if err != nil {
		return err
	}
	if err := second.Shutdown(); err != nil {
		return err
	}
	if err := w.sendAll(topic, numbered("alone", 16)); err != nil {
		return err
	}
	return eventually(deliveryLimit, "the one that is left gets the rest", func() bool {
		return !slices.ContainsFunc(numbered("alone", 16), func(body string) bool { return !one.has(body) })
	})
}

func pushBroadcasting(w *world) error {
	topic, err := w.topic(2)
	if err != nil {
		return err
	}
	members := []*received{{}, {}}
	for _, member := range members {
		if _, err := w.push(topic, "*", member.listener(), consumer.WithConsumerModel(consumer.BroadCasting)); err != nil {
			return err
		}
	}
	if err := w.sendAll(topic, numbered("b", 20)); err != nil {
		return err
	}
	for _, member := range members {
		if err := eventually(deliveryLimit, "all messages at each member", func() bool { return member.size() == 20 }); err != nil {
			return err
		}
	}
	return nil
}

func pushOrderly(w *world) error {
	topic, client, err := w.topicAndProducer(2, producer.WithQueueSelector(producer.NewHashQueueSelector()))
	if err != nil {
		return err
	}
	var mutex sync.Mutex
	next := map[string]int{}
	var problems []string
	failed := false
	count := 0
	_, err = w.push(topic, "*", func(_ context.Context, messages ...*primitive.MessageExt) (consumer.ConsumeResult, error) {
		mutex.Lock()
		defer mutex.Unlock()
		for _, message := range messages {
			if string(message.Body) == "b:7" && !failed { // once: its queue waits for it
				failed = true
				return consumer.SuspendCurrentQueueAMoment, nil
			}
			var key string
			var step int
			if _, err := fmt.Sscanf(string(message.Body), "%1s:%d", &key, &step); err != nil {
				problems = append(problems, err.Error())
			}
			if step > next[key] {
				problems = append(problems, fmt.Sprintf("%s came before step %d", message.Body, next[key]))
			}
			if step == next[key] { // a rebalance may repeat some
				next[key]++
				count++
			}
		}
		return consumer.ConsumeSuccess, nil
	}, consumer.WithConsumerOrder(true), consumer.WithConsumeMessageBatchMaxSize(1))
	if err != nil {
		return err
	}
	for step := range 30 {
		for _, key := range []string{"a", "b", "c"} {
			message := primitive.NewMessage(topic, fmt.Appendf(nil, "%s:%d", key, step)).WithShardingKey(key)
			if _, err := client.SendSync(context.Background(), message); err != nil {
				return err
			}
		}
	}
	err = eventually(deliveryLimit, "all 90 messages", func() bool {
		mutex.Lock()
		defer mutex.Unlock()
		return count == 90
	})
	mutex.Lock()
	defer mutex.Unlock()
	if len(problems) > 0 {
		return errors.New(strings.Join(problems, "; "))
	}
	if err == nil && !failed {
		return errors.New("the message that is to fail once never came")
	}
	return err
}

// failing listens and fails each message up to a number of deliveries; retries come after a second.
func failing(seen *received, upTo int32) listener {
	note := seen.listener()
	return func(ctx context.Context, messages ...*primitive.MessageExt) (consumer.ConsumeResult, error) {
		if context, ok := primitive.GetConcurrentlyCtx(ctx); ok {
			context.DelayLevelWhenNextConsume = 1
		}
		_, _ = note(ctx, messages...)
		if messages[0].ReconsumeTimes < upTo {
			return consumer.ConsumeRetryLater, nil
		}
		return consumer.ConsumeSuccess, nil
	}
}

func pushRetry(w *world) error {
	topic, err := w.topic(1)
	if err != nil {
		return err
	}
	// made by the group's first heartbeat otherwise, and then found by the client half a minute later
	if _, err := w.topicNamed("%RETRY%"+w.group(), 1); err != nil {
		return err
	}
	seen := &received{}
	if _, err := w.push(topic, "*", failing(seen, 1)); err != nil {
		return err
	}
	if err := w.sendAll(topic, []string{"again"}); err != nil {
		return err
	}
	twice := func() bool {
		seen.mutex.Lock()
		defer seen.mutex.Unlock()
		return len(seen.all) >= 2
	}
	if err := eventually(deliveryLimit, "the second delivery", twice); err != nil {
		return err
	}
	again := seen.all[1]
	if err := first(
		equal(int32(1), again.ReconsumeTimes, "reconsumeTimes"),
		equal("again", string(again.Body), "body"),
		equal(topic, again.Topic, "topic that the listener sees"),
		equal(seen.all[0].MsgId, again.MsgId, "msgId"),
	); err != nil {
		return err
	}
	if again.StoreTimestamp-seen.all[0].StoreTimestamp < 900 {
		return errors.New("it came back before its delay was over")
	}
	return nil
}

func pushDeadLetter(w *world) error {
	topic, err := w.topic(1)
	if err != nil {
		return err
	}
	if _, err := w.topicNamed("%RETRY%"+w.group(), 1); err != nil {
		return err
	}
	seen := &received{}
	if _, err := w.push(topic, "*", failing(seen, 1_000), consumer.WithMaxReconsumeTimes(1)); err != nil {
		return err
	}
	if err := w.sendAll(topic, []string{"poison"}); err != nil {
		return err
	}
	dead := "%DLQ%" + w.group()
	client, err := w.admin()
	if err != nil {
		return err
	}
	if err := eventually(deliveryLimit, "a dead letter topic", func() bool {
		queues, err := client.FetchPublishMessageQueues(context.Background(), dead)
		return err == nil && len(queues) == 1
	}); err != nil {
		return err
	}
	messages, err := w.readAll(dead, 1, consumer.WithGroupName(w.group()+"_dead"))
	if err != nil {
		return err
	}
	return first(
		equal("poison", string(messages[0].Body), "body of the dead letter"),
		equal(2, len(seen.all), "deliveries before"),
	)
}

func pushResumes(w *world) error {
	topic, err := w.topic(2)
	if err != nil {
		return err
	}
	one, two := &received{}, &received{}
	earlier, err := w.push(topic, "*", one.listener())
	if err != nil {
		return err
	}
	if err := w.sendAll(topic, numbered("one", 20)); err != nil {
		return err
	}
	if err := eventually(deliveryLimit, "the first twenty", func() bool { return one.size() == 20 }); err != nil {
		return err
	}
	if err := earlier.Shutdown(); err != nil {
		return err
	}
	if err := w.sendAll(topic, numbered("two", 20)); err != nil {
		return err
	}
	if _, err := w.push(topic, "*", two.listener()); err != nil {
		return err
	}
	if err := eventually(deliveryLimit, "the second twenty", func() bool { return two.size() >= 20 }); err != nil {
		return err
	}
	for _, body := range numbered("one", 20) {
		if two.has(body) {
			return fmt.Errorf("%s was consumed twice", body)
		}
	}
	return nil
}

func pushSuspend(w *world) error {
	topic, err := w.topic(1)
	if err != nil {
		return err
	}
	seen := &received{}
	client, err := w.push(topic, "*", seen.listener())
	if err != nil {
		return err
	}
	if err := w.sendAll(topic, numbered("before", 5)); err != nil {
		return err
	}
	if err := eventually(deliveryLimit, "messages before", func() bool { return seen.size() == 5 }); err != nil {
		return err
	}
	client.Suspend()
	time.Sleep(500 * time.Millisecond) // a pull that is held brings one more round
	if err := w.sendAll(topic, numbered("while", 5)); err != nil {
		return err
	}
	client.Resume()
	return eventually(deliveryLimit, "messages of the pause", func() bool { return seen.size() == 10 })
}

func pushNamespace(w *world) error {
	topic, err := w.topicNamed("space%"+w.topicName(), 2)
	if err != nil {
		return err
	}
	client, err := w.producer(producer.WithNamespace("space"))
	if err != nil {
		return err
	}
	for _, body := range numbered("n", 5) {
		if _, err := client.SendSync(context.Background(), primitive.NewMessage(w.topicName(), []byte(body))); err != nil {
			return err
		}
	}
	// the same topic, once by its full name and once from within the namespace
	outside, inside := &received{}, &received{}
	if _, err := w.push(topic, "*", outside.listener(), consumer.WithGroupName(w.group()+"_outside")); err != nil {
		return err
	}
	if _, err := w.push(w.topicName(), "*", inside.listener(), consumer.WithNamespace("space")); err != nil {
		return err
	}
	return first(
		eventually(deliveryLimit, "messages by the full name", func() bool { return outside.size() == 5 }),
		eventually(deliveryLimit, "messages within the namespace", func() bool { return inside.size() == 5 }),
	)
}

func delayLevel(w *world) error {
	topic, err := w.topic(1)
	if err != nil {
		return err
	}
	var arrivedAt atomic.Int64
	_, err = w.push(topic, "*", func(context.Context, ...*primitive.MessageExt) (consumer.ConsumeResult, error) {
		arrivedAt.CompareAndSwap(0, time.Now().UnixMilli())
		return consumer.ConsumeSuccess, nil
	})
	if err != nil {
		return err
	}
	client, err := w.producer()
	if err != nil {
		return err
	}
	sentAt := time.Now().UnixMilli()
	message := primitive.NewMessage(topic, []byte("later")).WithDelayTimeLevel(2) // five seconds
	if _, err := client.SendSync(context.Background(), message); err != nil {
		return err
	}
	if err := eventually(deliveryLimit, "the message", func() bool { return arrivedAt.Load() > 0 }); err != nil {
		return err
	}
	if waited := arrivedAt.Load() - sentAt; waited < 4_900 {
		return fmt.Errorf("it came after %d ms", waited)
	}
	return nil
}

func pullFrom(w *world) error {
	topic, err := w.topic(1)
	if err != nil {
		return err
	}
	if err := w.sendAll(topic, numbered("m", 40)); err != nil {
		return err
	}
	client, err := w.pull(topic, "*")
	if err != nil {
		return err
	}
	queue := w.queue(topic, 0)
	if _, err := w.read(client, queue, 40); err != nil {
		return err
	}
	middle, err := client.PullFrom(context.Background(), queue, 30, 4)
	if err != nil {
		return err
	}
	beyond, err := client.PullFrom(context.Background(), queue, 1_000, 4)
	if err != nil {
		return err
	}
	return first(
		equal(primitive.PullFound, middle.Status, "status"),
		equal(4, len(middle.GetMessageExts()), "messages"),
		equal("m30", string(middle.GetMessageExts()[0].Body), "first message"),
		equal(int64(34), middle.NextBeginOffset, "nextBeginOffset"),
		equal(int64(40), middle.MaxOffset, "maxOffset"),
		equal(primitive.PullOffsetIllegal, beyond.Status, "status beyond the end"),
		equal(int64(40), beyond.NextBeginOffset, "nextBeginOffset beyond the end"),
	)
}

func pullPoll(w *world) error {
	topic, err := w.topic(2)
	if err != nil {
		return err
	}
	if err := w.sendAll(topic, numbered("m", 20)); err != nil {
		return err
	}
	client, err := w.pull(topic, "*")
	if err != nil {
		return err
	}
	seen := map[string]bool{}
	return eventually(deliveryLimit, "twenty messages", func() bool {
		got, err := client.Poll(context.Background(), time.Second)
		if err != nil {
			return false
		}
		for _, message := range got.GetMsgList() {
			seen[string(message.Body)] = true
		}
		client.ACK(context.Background(), got, consumer.ConsumeSuccess)
		return len(seen) == 20
	})
}

func request(w *world) error {
	topic, client, err := w.topicAndProducer(1)
	if err != nil {
		return err
	}
	answering, err := w.producer(producer.WithGroupName("P_" + w.caseName + "_answers"))
	if err != nil {
		return err
	}
	_, err = w.push(topic, "*", func(_ context.Context, messages ...*primitive.MessageExt) (consumer.ConsumeResult, error) {
		for _, message := range messages {
			answer, err := consumer.CreateReplyMessage(message, nil)
			if err != nil { // a message that asks for none
				continue
			}
			answer.Body = fmt.Appendf(nil, "answer to %s", message.Body) // what it was given as body it takes for properties
			_, _ = answering.SendSync(context.Background(), answer)
		}
		return consumer.ConsumeSuccess, nil
	})
	if err != nil {
		return err
	}
	// The broker knows the asking client from its first heartbeat on, up to 30 s after its first send.
	var last error
	err = eventually(deliveryLimit, "an answer", func() bool {
		var answer *primitive.Message
		answer, last = client.Request(context.Background(), 5*time.Second, primitive.NewMessage(topic, []byte("question")))
		if last == nil {
			last = equal("answer to question", string(answer.Body), "answer")
		}
		return last == nil
	})
	if err != nil {
		return fmt.Errorf("%w: %v", err, last)
	}
	return nil
}

func adminTopic(w *world) error {
	topic, err := w.topic(3)
	if err != nil {
		return err
	}
	client, err := w.admin()
	if err != nil {
		return err
	}
	all, err := client.FetchAllTopicList(context.Background())
	if err != nil {
		return err
	}
	if !slices.Contains(all.TopicList, topic) {
		return errors.New("the topic is not in the list of all topics")
	}
	groups, err := client.GetAllSubscriptionGroup(context.Background(), w.brokerAddr, 5*time.Second)
	if err != nil {
		return err
	}
	if _, isThere := groups.SubscriptionGroupTable["TOOLS_CONSUMER"]; !isThere {
		return errors.New("TOOLS_CONSUMER is not among the groups")
	}
	err = client.DeleteTopic(context.Background(), admin.WithTopicDelete(topic), admin.WithBrokerAddrDelete(w.brokerAddr),
		admin.WithNameSrvAddr([]string{w.namesrv}))
	if err != nil {
		return err
	}
	return eventually(15*time.Second, "the topic is gone", func() bool {
		all, err := client.FetchAllTopicList(context.Background())
		return err == nil && !slices.Contains(all.TopicList, topic)
	})
}
