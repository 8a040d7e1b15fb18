# Events come in by one topic. Three things read it: the stream; files of events, which backfills
# read; and, for what the stream fails on again and again, the dead-letter topic.

resource "google_pubsub_topic" "events" {
  name                       = "attribeam-events"
  labels                     = local.labels
  kms_key_name               = google_kms_crypto_key.data[var.region].id
  message_retention_duration = "604800s"
  message_storage_policy {
    allowed_persistence_regions = [var.region]
  }
  depends_on = [google_kms_crypto_key_iam_member.agents]
}

resource "google_pubsub_topic" "dead_letters" {
  name         = "attribeam-events-dead-letters"
  labels       = local.labels
  kms_key_name = google_kms_crypto_key.data[var.region].id
  message_storage_policy {
    allowed_persistence_regions = [var.region]
  }
  depends_on = [google_kms_crypto_key_iam_member.agents]
}

resource "google_pubsub_subscription" "events" {
  name   = "attribeam-stream"
  topic  = google_pubsub_topic.events.id
  labels = local.labels
  # Dataflow extends deadlines by itself; this is how long a worker that died holds a message.
  ack_deadline_seconds       = 60
  message_retention_duration = "604800s"
  expiration_policy {
    ttl = ""
  }
  # For `attribeam stream`, which leaves a message it fails on unacknowledged. On Dataflow a bad event
  # becomes a row of dead_letters and its message is acknowledged; a slow job must not get here.
  dead_letter_policy {
    dead_letter_topic     = google_pubsub_topic.dead_letters.id
    max_delivery_attempts = 100
  }
}

# Without a subscription what is published to the topic would be lost.
resource "google_pubsub_subscription" "dead_letters" {
  name                       = "attribeam-events-dead-letters"
  topic                      = google_pubsub_topic.dead_letters.id
  labels                     = local.labels
  ack_deadline_seconds       = 60
  message_retention_duration = "604800s"
  expiration_policy {
    ttl = ""
  }
}

# A backfill takes files by kind, so publishers set the attribute `type` of a message, one kind each.
resource "google_pubsub_subscription" "files" {
  for_each = toset(["pageview", "engagement", "call"])
  name     = "attribeam-${each.key}-files"
  topic    = google_pubsub_topic.events.id
  labels   = local.labels
  filter   = "attributes.type = \"${each.key}\""
  # No shorter than max_duration below.
  ack_deadline_seconds       = 600
  message_retention_duration = "604800s"
  expiration_policy {
    ttl = ""
  }
  cloud_storage_config {
    bucket          = google_storage_bucket.events.name
    filename_prefix = "${each.key}s/"
    filename_suffix = ".jsonl"
    max_duration    = "600s"
    max_bytes       = 1000000000
  }
  depends_on = [google_storage_bucket_iam_member.files]
}
