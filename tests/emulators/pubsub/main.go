// Command pubsub serves Pub/Sub in memory on the loopback address, for tests and the local stream.
// It prints its address as one line; SIGTERM ends it, and all it held is gone.
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"net"
	"os"
	"os/signal"
	"slices"
	"syscall"
	"time"

	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	"cloud.google.com/go/pubsub/v2/pstest"
	"google.golang.org/grpc"
)

// A message may have 10 MB in Pub/Sub, and gRPC would refuse requests above 4 MB.
const maxRequestBytes = 64 << 20

func main() {
	port := flag.Int("port", 0, "port on 127.0.0.1; 0 takes a free one")
	topic := flag.String("topic", "", "topic to begin with")
	subscription := flag.String("subscription", "", "subscription of that topic to begin with")
	deadline := flag.Int("ack-deadline-seconds", 10, "its deadline, and the shortest allowed")
	flag.Parse()

	// pstest takes no options for its own server, so its services are served by another one.
	held := pstest.NewServer()
	fake := &held.GServer
	pstest.SetMinAckDeadline(time.Duration(*deadline) * time.Second)
	if *topic != "" {
		_, err := fake.CreateTopic(context.Background(), &pubsubpb.Topic{Name: *topic})
		exitOn(err)
	}
	if *subscription != "" {
		_, err := fake.CreateSubscription(context.Background(), &pubsubpb.Subscription{
			Name: *subscription, Topic: *topic, AckDeadlineSeconds: int32(*deadline)})
		exitOn(err)
	}

	listener, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", *port))
	exitOn(err)
	server := grpc.NewServer(
		grpc.MaxRecvMsgSize(maxRequestBytes), grpc.UnaryInterceptor(forgetUnknown(held)))
	pubsubpb.RegisterPublisherServer(server, fake)
	pubsubpb.RegisterSubscriberServer(server, fake)
	fmt.Println(listener.Addr())

	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGINT, syscall.SIGTERM)
	go func() {
		<-stop
		server.Stop()
	}()
	exitOn(server.Serve(listener))
}

// forgetUnknown passes over deadlines of messages that are not there, as Pub/Sub does: pstest panics
// when a client still holds messages from before the server was started again.
func forgetUnknown(held *pstest.Server) grpc.UnaryServerInterceptor {
	return func(ctx context.Context, request any, _ *grpc.UnaryServerInfo,
		handler grpc.UnaryHandler) (any, error) {
		if modify, ok := request.(*pubsubpb.ModifyAckDeadlineRequest); ok {
			modify.AckIds = slices.DeleteFunc(modify.AckIds, func(id string) bool {
				return held.Message(id) == nil
			})
		}
		return handler(ctx, request)
	}
}

func exitOn(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
