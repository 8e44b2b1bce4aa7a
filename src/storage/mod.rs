//! S3: object keys, versions, presigned URLs, and the embedded store.
