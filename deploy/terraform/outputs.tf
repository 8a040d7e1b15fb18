output "topic" {
  description = "Where events are published."
  value       = google_pubsub_topic.events.id
}

output "publisher" {
  description = "The account that may publish them."
  value       = google_service_account.publisher.email
}

output "subscription" {
  description = "What the stream reads."
  value       = google_pubsub_subscription.events.id
}

output "bigquery" {
  description = "The --output of attribeam tables, and of jobs."
  value       = local.output
}

output "bigquery_key" {
  description = "For kms_key of the configuration."
  value       = google_kms_crypto_key.data[local.bigquery_key_location].id
}

output "secret" {
  description = "Where the key of hashes is added as a version."
  value       = google_secret_manager_secret.key.secret_id
}

output "images" {
  description = "What an image's name begins with."
  value       = "${var.region}-docker.pkg.dev/${var.project}/${google_artifact_registry_repository.images.repository_id}"
}

output "temp_location" {
  description = "The --temp_location of jobs."
  value       = "${google_storage_bucket.temp.url}/temp"
}

output "worker" {
  description = "The --service_account_email of jobs."
  value       = google_service_account.worker.email
}
