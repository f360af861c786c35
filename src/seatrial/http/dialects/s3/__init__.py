"""S3's wire: what its requests mean and how its answers look. Source: the Amazon S3 API Reference."""
