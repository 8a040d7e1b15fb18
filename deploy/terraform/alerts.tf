# Who is told what. Lag and failed jobs are metrics of Dataflow and Pub/Sub. Shares and staleness are
# questions to the rows themselves, which holds for stream and backfill alike: scheduled queries that
# fail with words where a limit is passed, and an alert on the log entry of a failed one.

resource "google_monitoring_notification_channel" "email" {
  for_each     = var.alert_emails
  display_name = "attribeam: ${each.key}"
  type         = "email"
  labels       = { email_address = each.key }
  depends_on   = [google_project_service.needed]
}

locals {
  channels = [for channel in google_monitoring_notification_channel.email : channel.id]
  measured = {
    watermark_lag = {
      name   = "attribeam: the stream's watermark is behind"
      filter = "resource.type = \"dataflow_job\" AND resource.labels.job_name = \"attribeam-stream\" AND metric.type = \"dataflow.googleapis.com/job/data_watermark_age\""
      limit  = var.watermark_lag_minutes * 60
      lasts  = "300s"
    }
    oldest_message = {
      name   = "attribeam: messages wait to be read"
      filter = "resource.type = \"pubsub_subscription\" AND resource.labels.subscription_id = \"${google_pubsub_subscription.events.name}\" AND metric.type = \"pubsub.googleapis.com/subscription/oldest_unacked_message_age\""
      limit  = var.watermark_lag_minutes * 60
      lasts  = "300s"
    }
    undelivered = {
      name   = "attribeam: messages that the stream fails on"
      filter = "resource.type = \"pubsub_subscription\" AND resource.labels.subscription_id = \"${google_pubsub_subscription.dead_letters.name}\" AND metric.type = \"pubsub.googleapis.com/subscription/num_undelivered_messages\""
      limit  = 0
      lasts  = "300s"
    }
    failed_job = {
      name   = "attribeam: a job has failed"
      filter = "resource.type = \"dataflow_job\" AND resource.labels.job_name = starts_with(\"attribeam-\") AND metric.type = \"dataflow.googleapis.com/job/is_failed\""
      limit  = 0
      # A job that has failed says so for a short time only.
      lasts = "0s"
    }
  }
  # Where dead letters of no known account lie (docs/bigquery.md).
  control_dataset = "attribeam_${lower(replace(var.location, "-", "_"))}"
  checks = merge(
    {
      for pair in setproduct(["dead_letter_share", "unattributed_share", "staleness"], var.checked_datasets) :
      "${pair[0]}-${pair[1]}" => { check = pair[0], dataset = pair[1] }
    },
    length(var.checked_datasets) == 0 ? {} : {
      "unreadable_events" = { check = "unreadable_events", dataset = local.control_dataset }
    },
  )
  queries = {
    for key, value in local.checks : key => templatefile("${path.module}/checks/${value.check}.sql", {
      dataset            = "${var.project}.${value.dataset}"
      dead_letter_share  = var.dead_letter_share
      unattributed_share = var.unattributed_share
      staleness_hours    = var.staleness_hours
      unreadable_events  = var.unreadable_events
    })
  }
}

resource "google_monitoring_alert_policy" "measured" {
  for_each     = local.measured
  display_name = each.value.name
  combiner     = "OR"
  user_labels  = local.labels
  conditions {
    display_name = each.value.name
    condition_threshold {
      filter          = each.value.filter
      comparison      = "COMPARISON_GT"
      threshold_value = each.value.limit
      duration        = each.value.lasts
      aggregations {
        alignment_period   = "60s"
        per_series_aligner = "ALIGN_MAX"
      }
    }
  }
  documentation {
    content = "docs/deploy.md of attribeam, chapter Alerts: ${each.key}"
  }
  notification_channels = local.channels
}

resource "google_bigquery_data_transfer_config" "check" {
  for_each             = local.checks
  display_name         = "attribeam ${each.value.check} ${each.value.dataset}"
  location             = var.location
  data_source_id       = "scheduled_query"
  schedule             = "every day 07:00"
  service_account_name = google_service_account.checks.email
  params = {
    # A script: the service refuses a SELECT that has no table to write to.
    query = "BEGIN\n${local.queries[each.key]};\nEND;"
  }
  depends_on = [
    google_bigquery_dataset_iam_member.checks,
    google_project_iam_member.checks,
    google_project_iam_member.service_agents,
    google_service_account_iam_member.transfer_agent,
  ]
}

resource "google_monitoring_alert_policy" "checks" {
  display_name = "attribeam: a daily check of the rows has failed"
  combiner     = "OR"
  user_labels  = local.labels
  conditions {
    display_name = "A check failed; its message says which limit was passed"
    condition_matched_log {
      filter = "resource.type = \"bigquery_dts_config\" AND severity >= ERROR"
    }
  }
  alert_strategy {
    notification_rate_limit {
      period = "3600s"
    }
  }
  documentation {
    content = "docs/deploy.md of attribeam, chapter Alerts: dead_letter_share, unattributed_share, staleness, unreadable_events"
  }
  notification_channels = local.channels
}
